"""hf:// names, with a client that has no network behind it."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.checkpoint.tensorflow_reference import RandomVariables, TensorFlowModel
from tests.tensor_bundle.bundle_writer import write_bundle
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.errors import CheckpointError
from ugatit_fast.model import Generator, GeneratorConfig
from ugatit_fast.weights.hub import Reference, parse_reference


class FakeHub(ModuleType):
    """huggingface_hub as far as it is used: one repository, `a/b`, in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__("huggingface_hub")
        self.folder = folder
        self.calls: list[dict[str, Any]] = []
        self.failure: Exception | None = None

    def list_repo_files(self, repo_id: str, *, revision: str | None = None) -> list[str]:
        self.calls.append({"repo": repo_id, "revision": revision})
        if self.failure:
            raise self.failure
        return sorted(str(file.relative_to(self.folder)) for file in self.folder.rglob("*") if file.is_file())

    def snapshot_download(
        self, repo_id: str, *, revision: str | None, allow_patterns: list[str], local_files_only: bool
    ) -> str:
        self.calls.append({"repo": repo_id, "revision": revision, "files": allow_patterns, "offline": local_files_only})
        if self.failure:
            raise self.failure
        return str(self.folder)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    (tmp_path / "repository").mkdir()
    fake = FakeHub(tmp_path / "repository")
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    torch.save(Generator(GeneratorConfig(ch=2, n_res=1, light=True)).state_dict(), fake.folder / "anime.pt")
    (fake.folder / "README.md").write_text("an anime model")
    return fake


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("hf://a/b", ("a/b", None, None)),
        ("hf:/a/b", ("a/b", None, None)),
        ("hf://a/b/", ("a/b", None, None)),
        ("hf://a/b@v1/x/y.pt", ("a/b", "v1", "x/y.pt")),
        ("hf://a/b@refs%2Fpr%2F1", ("a/b", "refs/pr/1", None)),
        ("hf://a/b.c-d/x@y.pt", ("a/b.c-d", None, "x@y.pt")),
    ],
)
def test_names(text: str, reference: tuple[str, str | None, str | None]) -> None:
    assert parse_reference(text) == Reference(*reference)


@pytest.mark.parametrize("text", ["hf://", "hf://a", "hf:///a/b", "hf://a/b@/x"])
def test_malformed_names(text: str) -> None:
    with pytest.raises(CheckpointError, match="expected hf://ORG/REPO"):
        parse_reference(text)


@pytest.mark.parametrize("as_given", [str, Path])
def test_a_named_file(hub: FakeHub, as_given: Callable[[str], str | Path]) -> None:
    """The command line makes a Path of it, which loses a slash."""
    checkpoint = read_checkpoint(as_given("hf://a/b@v1/anime.pt"))
    assert hub.calls == [{"repo": "a/b", "revision": "v1", "files": ["anime.pt"], "offline": False}]
    assert checkpoint.path == hub.folder / "anime.pt"
    assert checkpoint.product(".onnx") == Path("anime-A2B.onnx"), "nothing is written into the hub's cache"


def test_the_only_checkpoint_of_a_repository(hub: FakeHub) -> None:
    assert read_checkpoint("hf://a/b").path == hub.folder / "anime.pt"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "last.ckpt", "ANIME.PT", "x.Pth"])
def test_a_checkpoint_by_any_of_its_names(hub: FakeHub, name: str) -> None:
    (hub.folder / "anime.pt").rename(hub.folder / name)
    assert read_checkpoint("hf://a/b").path == hub.folder / name


def test_several_checkpoints_must_be_told_apart(hub: FakeHub) -> None:
    (hub.folder / "other.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"2 files .*anime.pt, other.safetensors.*; name one: hf://a/b/FILE"):
        read_checkpoint("hf://a/b")


@pytest.mark.parametrize("named", ["", "/run_smoothing/m-7.index", "/run_smoothing/m-7.data-00000-of-00001"])
def test_a_tensorflow_checkpoint_is_all_its_files(hub: FakeHub, named: str) -> None:
    (hub.folder / "anime.pt").unlink()
    model = TensorFlowModel(ch=2, light=True, discriminators=False, adam=False)
    write_bundle(hub.folder / "run_smoothing" / "m-7", RandomVariables(model))
    assert read_checkpoint(f"hf://a/b{named}").step == 7
    assert hub.calls[-1]["files"] == ["run_smoothing/m-7.index", "run_smoothing/m-7.data-*"]


@pytest.mark.parametrize("variable", [None, "1", "true"])
def test_offline_only_looks_in_the_cache(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, variable: str | None) -> None:
    if variable:
        monkeypatch.setenv("HF_HUB_OFFLINE", variable)
    read_checkpoint("hf://a/b/anime.pt", offline=variable is None)
    assert [call["offline"] for call in hub.calls] == [True]
    with pytest.raises(CheckpointError, match=r"there is no other\.pt in the cache; fetch it once while online"):
        read_checkpoint("hf://a/b/other.pt", offline=True)
    with pytest.raises(CheckpointError, match="name the file"):
        read_checkpoint("hf://a/b", offline=True)


@pytest.mark.parametrize("failure", [OSError("404 Client Error\nlong story"), RuntimeError("no route"), ValueError()])
def test_whatever_the_client_raises_is_one_line(hub: FakeHub, failure: Exception) -> None:
    hub.failure = failure
    with pytest.raises(CheckpointError, match=r"cannot fetch hf://a/b: .*check the name, your access") as raised:
        read_checkpoint("hf://a/b")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(hub: FakeHub) -> None:
    with pytest.raises(CheckpointError, match=r"there is no other\.pt in a/b; check the name"):
        read_checkpoint("hf://a/b/other.pt")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match=r"pip install .*\[hub\]"):
        read_checkpoint("hf://a/b/anime.pt")
