"""Any checkpoint to one small file, in bounded memory."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.checkpoint.tensorflow_reference import RandomVariables, TensorFlowModel, checkpoint_shapes
from tests.conftest import LIGHT, random_generator
from tests.tensor_bundle.bundle_writer import Layout, write_bundle
from ugatit_fast.checkpoint import SuspiciousWeightsWarning, read_checkpoint
from ugatit_fast.checkpoint.convert import convert
from ugatit_fast.errors import CheckpointError, InputError
from ugatit_fast.model import GeneratorConfig
from ugatit_fast.tensor_bundle.crc32c import crc32c

CONFIG = replace(LIGHT, ch=4, n_res=1)
SMALL_TENSORFLOW = TensorFlowModel(ch=4, light=True)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    networks = {name: random_generator(CONFIG, seed).state_dict() for seed, name in enumerate(("genA2B", "genB2A"))}
    torch.save(networks | {"disGA": {"x": torch.zeros(100)}}, tmp_path / "anime_params_0000700.pt")
    return tmp_path / "anime_params_0000700.pt"


@pytest.fixture
def tensorflow(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "run" / "UGATIT.model-3", RandomVariables(SMALL_TENSORFLOW), Layout(checksum=crc32c))


@pytest.mark.parametrize("direction", ["A2B", "B2A"])
@pytest.mark.parametrize("source", ["published", "tensorflow"])
def test_keeps_every_weight(source: str, direction: Any, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(source)
    original = read_checkpoint(path, direction)

    [written] = convert(path, tmp_path / "small.safetensors", direction=direction)

    found = read_checkpoint(written.path)
    assert written.path == tmp_path / "small.safetensors"
    assert (found.config, found.direction, found.step) == (original.config, direction, original.step)
    assert set(original.notes) <= set(found.notes)
    assert all(torch.equal(found.tensors[name], tensor.float()) for name, tensor in original.tensors.items())
    assert written.size_bytes == written.path.stat().st_size < written.source_bytes


def test_half_precision_keeps_vectors(published: Path, tmp_path: Path) -> None:
    [full] = convert(published, tmp_path / "full.safetensors")
    [half] = convert(published, tmp_path / "half.safetensors", precision="fp16")
    assert half.size_bytes < 0.6 * full.size_bytes
    original, found = read_checkpoint(full.path).tensors, read_checkpoint(half.path).tensors
    for name, tensor in original.items():
        kept = tensor if tensor.numel() == max(tensor.shape) else tensor.half()
        assert torch.equal(found[name], kept), name
        assert found[name].dtype == kept.dtype


def test_both_directions(published: Path, tmp_path: Path) -> None:
    written = convert(published, tmp_path / "small.safetensors", direction="both")
    assert [file.path.name for file in written] == ["small-A2B.safetensors", "small-B2A.safetensors"]
    assert [read_checkpoint(file.path).direction for file in written] == ["A2B", "B2A"]


def test_into_a_folder(published: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    written = convert(published, tmp_path / "out", direction="both")
    assert [file.path.name for file in written] == [f"anime_params_0000700-{d}.safetensors" for d in ("A2B", "B2A")]


def test_converting_again_changes_nothing(tensorflow: Path, tmp_path: Path) -> None:
    [once] = convert(tensorflow, tmp_path / "once.safetensors")
    [twice] = convert(once.path, tmp_path / "twice.safetensors")
    assert once.path.read_bytes() == twice.path.read_bytes()


def test_says_what_it_found(tensorflow: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    [written] = convert(tensorflow, tmp_path / "x.safetensors", smoothing=False, say=lines.append)
    assert lines[0] == "UGATIT.model-3.index: TensorFlow checkpoint, A2B"
    assert "smoothing is off (AdaLIN uses rho), as asked for" in lines
    assert written.describe().startswith(f"{tmp_path / 'x.safetensors'}: A2B, 0.")


def test_nothing_is_left_when_the_second_fails(published: Path, tmp_path: Path) -> None:
    networks = torch.load(published)
    networks["genB2A"]["gamma.weight"][0, 0] = torch.nan
    torch.save(networks, published)
    with pytest.raises(CheckpointError, match="NaN"):
        convert(published, tmp_path / "small.safetensors", direction="both")
    assert list(tmp_path.iterdir()) == [published]


def test_both_of_a_single_generator(tmp_path: Path) -> None:
    torch.save(random_generator(CONFIG).state_dict(), tmp_path / "one.pt")
    with pytest.raises(CheckpointError, match="holds one generator"):
        convert(tmp_path / "one.pt", tmp_path / "x.safetensors", direction="both")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("x.pt", "ends in .safetensors"),
        ("no_such_folder/x.safetensors", "the folder does not exist"),
        ("source.safetensors", "would overwrite the checkpoint"),
    ],
)
def test_targets_that_cannot_be(published: Path, tmp_path: Path, target: str, message: str) -> None:
    [source] = convert(published, tmp_path / "source.safetensors")
    with pytest.raises(InputError, match=message):
        convert(source.path, tmp_path / target)
    assert {file.name for file in tmp_path.iterdir()} == {published.name, "source.safetensors"}


def test_weights_beyond_half_precision(published: Path, tmp_path: Path) -> None:
    networks = torch.load(published)
    networks["genA2B"]["gamma.weight"][0, 0] = 1e5
    torch.save(networks, published)
    with pytest.raises(CheckpointError, match=r"gamma\.weight has weights beyond float16"):
        convert(published, tmp_path / "x.safetensors", precision="fp16")


def test_warns_of_a_generator_of_no_pictures(published: Path, tmp_path: Path) -> None:
    networks = torch.load(published)
    networks["genA2B"]["UpBlock2.11.weight"].zero_()
    torch.save(networks, published)
    with pytest.warns(SuspiciousWeightsWarning, match="one even colour"):
        convert(published, tmp_path / "x.safetensors")


# Size -------------------------------------------------------------------------------------------------------------

CONVERT_AND_MEASURE = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from ugatit_fast.checkpoint.convert import convert
started = time.perf_counter()
convert(sys.argv[1], sys.argv[2])
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(time.perf_counter() - started, int(peak.split()[1]) / 1e3)
"""


def convert_and_measure(source: Path, target: Path) -> tuple[float, float]:
    """Seconds, and peak resident megabytes, of a process of its own."""
    arguments = [sys.executable, "-W", "ignore", "-c", CONVERT_AND_MEASURE, str(source), str(target)]
    printed = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
    return float(printed[0]), float(printed[1])


class CheapVariables(Mapping[str, NDArray[np.float32]]):
    """As many as in a real checkpoint, drawn from one short run of random numbers: a gigabyte in a second."""

    def __init__(self, model: TensorFlowModel) -> None:
        self.shapes = checkpoint_shapes(model)
        self.run = np.random.default_rng(0).normal(0, 0.02, 1_000_003).astype(np.float32)

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return np.resize(self.run, self.shapes[name])

    def __iter__(self) -> Any:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


@needs_proc
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_light_tensorflow_checkpoint_of_full_size(tmp_path: Path) -> None:
    model = TensorFlowModel(light=True)
    path = write_bundle(tmp_path / "UGATIT.model-1", CheapVariables(model), Layout(checksum=crc32c))
    seconds, megabytes = convert_and_measure(path, tmp_path / "light.safetensors")
    assert Path(f"{path}.data-00000-of-00001").stat().st_size > 1.4e9
    assert seconds < 30
    assert megabytes < 400


@needs_proc
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["tensorflow", "zip", "before 1.6"])
def test_one_full_generator_is_in_memory_once(tmp_path: Path, kind: str) -> None:
    """Both generators in the file, as large as published; the limit is for the one."""
    one = 1115.8
    if kind == "tensorflow":
        model = TensorFlowModel(discriminators=False, adam=False)
        path = write_bundle(tmp_path / "UGATIT.model-1", CheapVariables(model), Layout(checksum=crc32c))
    else:
        path = tmp_path / "full.pt"
        write_full_networks(path, old=kind == "before 1.6")
    _, megabytes = convert_and_measure(path, tmp_path / "full.safetensors")
    assert (tmp_path / "full.safetensors").stat().st_size == pytest.approx(one * 1e6, rel=1e-4)
    assert megabytes < 1.5 * one


def write_full_networks(path: Path, old: bool) -> None:
    generator = random_generator(GeneratorConfig())
    other = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    torch.save({"genA2B": generator.state_dict(), "genB2A": other}, path, _use_new_zipfile_serialization=not old)
