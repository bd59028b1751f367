import errno
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from ugatit_fast import Translator, build_engine
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.errors import ExportError, InputError, UgatitFastError
from ugatit_fast.export import build as build_module
from ugatit_fast.export.verify import Difference
from ugatit_fast.model import GeneratorConfig


def left_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_the_engine_goes_beside_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = tmp_path / "faces.pt"
    write_random_checkpoint(checkpoint, GeneratorConfig(ch=4, n_res=1, light=True), seed=0)
    lines: list[str] = []

    built = build_engine(checkpoint, size=(16, 24), say=lines.append)
    other = build_engine(str(checkpoint), size=(16, 24), direction="B2A", precision="fp16")

    assert left_in(tmp_path) == {"faces.pt", "faces-A2B.onnx", "faces-B2A.onnx"}
    assert (built.path, other.path) == (tmp_path / "faces-A2B.onnx", tmp_path / "faces-B2A.onnx")
    assert (built.spec.height, built.spec.width, built.spec.precision) == (16, 24, "fp32")
    assert (other.spec.direction, other.spec.precision) == ("B2A", "fp16")
    assert built.difference.passes("fp32")
    assert built.seconds > 0
    assert any("light, ch 4, 1 blocks" in line for line in lines)


def test_both_directions_differ(tmp_path: Path, light_checkpoint: Path) -> None:
    specs = [
        build_engine(light_checkpoint, tmp_path / f"{d}.onnx", direction=d, size=(16, 16)).path for d in ("A2B", "B2A")
    ]
    assert specs[0].read_bytes() != specs[1].read_bytes()


def test_an_engine_that_strays_is_not_written(light_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "kept.onnx"
    path.write_text("an older engine")
    far = Difference(
        max_abs=0.1,
        mean_abs=0.1,
        share_off_by_more_than_1=1,
        share_off_by_more_than_2=1,
        share_off_by_more_than_8=1,
        psnr_db=20,
        ssim=0,
    )
    with patch.object(build_module, "compare", return_value=far), pytest.raises(ExportError, match="strays too far"):
        build_engine(light_checkpoint, path, size=(16, 16))
    assert path.read_text() == "an older engine"
    assert left_in(tmp_path) == {"kept.onnx"}


@pytest.mark.parametrize(
    ("size", "error"), [((30, 32), "multiples of 4"), ((4, 4), "at least 8"), ((0, 8), "at least 8")]
)
def test_sizes_no_light_engine_serves(
    light_checkpoint: Path, tmp_path: Path, size: tuple[int, int], error: str
) -> None:
    with pytest.raises(InputError, match=error):
        build_engine(light_checkpoint, tmp_path / "x.onnx", size=size)
    assert not left_in(tmp_path)


def test_a_size_the_full_generator_was_not_trained_at(full_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"trained at 32x32.*64x64"):
        build_engine(full_checkpoint, tmp_path / "x.onnx", size=(64, 64))


def test_the_checkpoint_is_never_overwritten(light_checkpoint: Path) -> None:
    before = light_checkpoint.read_bytes()
    with pytest.raises(InputError, match="overwrite its checkpoint"):
        build_engine(light_checkpoint, light_checkpoint)
    assert light_checkpoint.read_bytes() == before


def test_an_output_folder_that_is_not_there(light_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*nowhere/x\.onnx: the folder does not exist"):
        build_engine(light_checkpoint, tmp_path / "nowhere" / "x.onnx", size=(16, 16))


def test_a_folder_in_the_engines_place(light_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").mkdir()
    with pytest.raises(UgatitFastError, match=r"x\.onnx"):
        build_engine(light_checkpoint, tmp_path / "x.onnx", size=(16, 16))
    assert left_in(tmp_path) == {"x.onnx"}


def test_a_disk_that_fills_up(light_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_text("an older engine")
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch.object(Path, "write_bytes", side_effect=full), pytest.raises(InputError, match="disk is full"):
        build_engine(light_checkpoint, path, size=(16, 16))
    assert path.read_text() == "an older engine"
    assert left_in(tmp_path) == {"x.onnx"}


def test_weights_beyond_protobufs_limit_go_into_a_second_file(light_checkpoint: Path, tmp_path: Path) -> None:
    with patch("ugatit_fast.export.onnx_graph.PROTOBUF_LIMIT_BYTES", 1000):
        built = build_engine(light_checkpoint, tmp_path / "two.onnx", size=(16, 16))
    assert left_in(tmp_path) == {"two.onnx", "two.onnx.data"}
    assert built.path.stat().st_size < (tmp_path / "two.onnx.data").stat().st_size
    Translator(built.path).close()


def test_an_unknown_backend(light_checkpoint: Path) -> None:
    with pytest.raises(InputError, match="auto, tensorrt, tensorrt-rtx, cuda, openvino, onnxruntime"):
        build_engine(light_checkpoint, backend="tpu")  # type: ignore[arg-type]


def test_a_config_is_told_from_the_weights(tmp_path: Path) -> None:
    for config in (GeneratorConfig(ch=4, n_res=3, light=True), GeneratorConfig(ch=6, n_res=1, img_size=16)):
        write_random_checkpoint(tmp_path / "c.pt", config, seed=0)
        spec = build_engine(tmp_path / "c.pt", tmp_path / "c.onnx", size=(16, 16)).spec
        network = spec.network
        assert network is not None
        assert network.settings == config.settings()
        assert replace(config, img_size=spec.height if not config.light else config.img_size) == config
