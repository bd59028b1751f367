from pathlib import Path

import numpy as np
import pytest

from ugatit_fast import build_engine
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.engine import read_spec
from ugatit_fast.errors import InputError
from ugatit_fast.export import stages
from ugatit_fast.export.onnx_convolutions import ConvolutionOperations
from ugatit_fast.export.stages import relative_error, walk


@pytest.mark.parametrize("backend", ["cuda", "onnxruntime"])
def test_a_good_engine_drifts_nowhere(light_checkpoint: Path, tmp_path: Path, backend: str) -> None:
    engine = build_engine(
        light_checkpoint,
        tmp_path / "x.engine",
        backend=backend,
        precision="fp16",
        size=(32, 32),  # type: ignore[arg-type]
    ).path
    found = walk(engine, read_spec(engine), read_checkpoint(light_checkpoint))
    assert found.first_drift is None
    assert len(found.errors) == 1 + 3 + 4 + 1 + 4 + 2  # normalise, encoder, two blocks, attention, two blocks, up
    assert all(0 < error < 0.02 for _, error in found.errors)
    assert "no stage drifts" in found.describe()


def test_the_first_stage_that_drifts_is_named(
    light_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build_engine(
        light_checkpoint, tmp_path / "x.onnx", backend="onnxruntime", precision="fp16", size=(32, 32)
    ).path
    attend = ConvolutionOperations.attend

    def broken(self: ConvolutionOperations, *arguments: object, **options: str) -> str:
        return self.builder.node("Neg", attend(self, *arguments, **options))  # type: ignore[arg-type]

    monkeypatch.setattr(ConvolutionOperations, "attend", broken)
    found = walk(engine, read_spec(engine), read_checkpoint(light_checkpoint))
    assert found.first_drift == "8 attend"
    assert "drifts at 8 attend" in found.describe()


def test_values_that_are_no_numbers_drift() -> None:
    assert relative_error(np.ones(3), np.array([1, np.nan, 1])) == np.inf
    assert stages.Walk("fp16", (("0 stage", float("inf")),)).first_drift == "0 stage"


def test_pixel_rows_have_no_counterpart(light_engine: Path, light_checkpoint: Path) -> None:
    with pytest.raises(InputError, match="pixel rows"):
        walk(light_engine, read_spec(light_engine), read_checkpoint(light_checkpoint))
