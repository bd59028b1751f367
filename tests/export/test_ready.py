"""Weights in place of an engine: built once, kept, and found again as long as nothing that shapes it has changed."""

import io
import os
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import random_pictures
from ugatit_fast import Translator
from ugatit_fast.assets import SHIPPED_PAIR, sample_photos, shipped_engine
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.cli import main
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import BackendUnavailable, CheckpointError, EngineError
from ugatit_fast.export import ready
from ugatit_fast.export.options import ReadyOptions
from ugatit_fast.export.ready import ready_engine
from ugatit_fast.export.verify import verify
from ugatit_fast.media.images import load_image, save_image
from ugatit_fast.model import GeneratorConfig
from ugatit_fast.translator import Translator as EngineTranslator


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published file, with generators for both directions."""
    path = tmp_path_factory.mktemp("weights") / "anime.pt"
    write_random_checkpoint(path, GeneratorConfig(ch=8, n_res=1, light=True, img_size=32), seed=3)
    return path


def built_anew(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The engines that are built from now on."""
    engines: list[Path] = []
    build = ready.build
    monkeypatch.setattr(
        ready, "build", lambda source, engine, *rest: engines.append(engine) or build(source, engine, *rest)
    )
    return engines


def test_an_engine_is_itself(light_engine: Path) -> None:
    assert ready_engine(light_engine) == light_engine
    assert ready_engine("absent.onnx") == Path("absent.onnx"), "whoever loads it says that it isn't there"


def test_the_shipped_pair_has_its_engines() -> None:
    assert ready_engine(SHIPPED_PAIR) == shipped_engine("A2B")
    assert ready_engine(SHIPPED_PAIR, ReadyOptions(direction="B2A")) == shipped_engine("B2A")


def test_an_engine_is_built_once(weights: Path, cache_of_its_own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = built_anew(monkeypatch)
    told: list[str] = []
    engine = ready_engine(weights, say=told.append)
    assert built == [engine]
    assert engine.parent == cache_of_its_own / "engines"
    assert f"building an engine of {weights}, once; it is kept in {engine.parent}" in told
    monkeypatch.setitem(sys.modules, "ugatit_fast.checkpoint", None)  # from now on reading it raises
    assert ready_engine(weights) == engine
    assert ready_engine(str(weights)) == engine
    assert built == [engine]


def test_a_copy_of_the_weights_has_the_same_engine(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their SHA-256."""
    built = built_anew(monkeypatch)
    (tmp_path / "anime.pt").write_bytes(weights.read_bytes())
    assert ready_engine(weights) == ready_engine(tmp_path / "anime.pt")
    assert len(built) == 1


def test_what_shapes_an_engine_makes_another(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = built_anew(monkeypatch)
    plain = ready_engine(weights)
    back = ready_engine(weights, ReadyOptions(direction="B2A"))
    half = ready_engine(weights, ReadyOptions(precision="fp16"))
    mapped = ready_engine(weights, heatmap=True)
    assert [read_spec(engine).direction for engine in (plain, back)] == ["A2B", "B2A"]
    assert [read_spec(engine).precision for engine in (plain, half)] == ["fp32", "fp16"]
    assert [read_spec(engine).heatmap for engine in (plain, mapped)] == [False, True]
    assert ready_engine(weights, ReadyOptions(direction="A2B", precision="fp32"), size=(64, 64)) == plain, (
        "said or not, it is the same; and a light engine for CPUs serves any size"
    )
    assert len({plain, back, half, mapped}) == len(built) == 4
    monkeypatch.setattr(ready, "__version__", "9.9.9")
    assert ready_engine(weights) != plain


def test_one_of_several_generators_by_its_name(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a file with running averages has them; the command line and `Translator` take the name, too."""
    content = torch.load(weights, weights_only=True)
    averaged = {name: 2 * tensor for name, tensor in content["genA2B"].items()}
    several = tmp_path / "several.pt"
    torch.save({"genA2B": content["genA2B"], "genA2B_ema": averaged}, several)
    plain = ready_engine(several)
    by_name = ready_engine(several, ReadyOptions(network="genA2B_ema"))
    assert by_name != plain
    assert verify(by_name, read_checkpoint(several, "A2B", network="genA2B_ema")).passes("fp32")
    with Translator(several, network="genA2B_ema") as translator:
        assert translator.path == by_name
    photo = sample_photos()[0]
    assert main(["translate", str(several), str(photo), "-o", str(tmp_path / "o"), "--network", "genA2B_ema"]) == 0
    assert "building" not in capsys.readouterr().err
    assert main(["translate", str(several), str(photo), "-o", str(tmp_path / "o"), "--network", "genX"]) == 1
    assert "genX" in capsys.readouterr().err


def test_changed_weights_have_another_engine(weights: Path, tmp_path: Path) -> None:
    copy = tmp_path / "anime.pt"
    copy.write_bytes(weights.read_bytes())
    before = ready_engine(copy)
    write_random_checkpoint(copy, GeneratorConfig(ch=8, n_res=1, light=True, img_size=32), seed=4)
    os.utime(copy, ns=(1, 1))
    assert ready_engine(copy) != before


def test_what_an_archive_unpacked_to_goes_once_it_is_built(
    weights: Path, tmp_path: Path, cache_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = built_anew(monkeypatch)
    archive = tmp_path / "anime.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(weights, "anime/anime.pt")
    engine = ready_engine(archive)
    assert list((cache_of_its_own / "unpacked").iterdir()) == []
    assert ready_engine(archive) == engine == ready_engine(weights)
    assert len(built) == 1


def test_without_pytorch_what_was_built_runs_and_the_rest_says_what_to_install(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ready_engine(weights)
    for name in [name for name in sys.modules if name.startswith("ugatit_fast.checkpoint")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert ready_engine(weights) == engine
    (tmp_path / "other.pt").write_bytes(weights.read_bytes())
    with pytest.raises(BackendUnavailable, match=r"needs torch, which is not installed: pip install .*torch\]"):
        ready_engine(tmp_path / "other.pt")


def test_weights_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(60))
    with pytest.raises(CheckpointError, match="a JPEG picture"):
        ready_engine(tmp_path / "photo.jpg")


# The door that people come through ---------------------------------------------------------------------------------


def test_the_translator_at_the_door_takes_weights(weights: Path) -> None:
    picture = random_pictures(1, 32, 32)[0]
    with Translator(weights, heatmap=True, direction="B2A") as translator:
        assert isinstance(translator, EngineTranslator)
        assert translator.spec.direction == "B2A"
        translated, attention = translator(picture)
    assert (translated.shape, attention.shape) == ((32, 32, 3), (8, 8))


def test_a_plan_that_is_trusted_is_no_weights(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot read the engine"):
        Translator(tmp_path / "absent.plan", trust_plan=True)


# The command line ---------------------------------------------------------------------------------------------------


def test_translate_takes_weights_and_names_its_output(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_image(tmp_path / "me.png", random_pictures(1, 50, 40)[0])
    assert main(["translate", str(weights), "me.png"]) == 0
    out, err = capsys.readouterr()
    assert load_image(tmp_path / "translated" / "me.png").shape == (32, 32, 3)
    assert "look at translated/index.html" in out
    assert "building an engine of" in err
    assert main(["translate", str(weights), "me.png"]) == 0
    assert "building" not in capsys.readouterr().err


def test_stdin_goes_to_stdout_by_itself(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    content = io.BytesIO()
    Image.fromarray(random_pictures(1, 40, 40)[0]).save(content, "PNG")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.getvalue())))
    assert main(["translate", str(weights), "-"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"\x89PNG")


def test_tiles_take_both_directions_from_one_file(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_image(tmp_path / "me.png", random_pictures(1, 40, 40)[0])
    assert main(["translate", str(weights), "me.png", "--stack", str(weights), "-o", "tiles"]) == 0
    assert load_image(tmp_path / "tiles" / "me.png").shape == (7 * 32, 32, 3)


def test_a_full_generator_is_told_of_the_smaller_file(
    full_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And it is half as large."""
    sizes = []
    for precision in ("fp32", "fp16"):
        engine = tmp_path / f"{precision}.onnx"
        command = ["build-engine", str(full_checkpoint), "-o", str(engine), "--precision", precision]
        assert main([*command, "--backend", "onnxruntime"]) == 0
        assert ("--precision fp16 makes a file of half that" in capsys.readouterr().err) == (precision == "fp32")
        sizes.append(engine.stat().st_size)
    assert sizes[1] < 0.7 * sizes[0]
