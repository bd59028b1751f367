"""As far as NVIDIA's real parser goes with the graph of our plugins: TensorRT for RTX builds none of these."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import LIGHT, random_generator
from tests.export.test_onnx_graph import tensorrt_model
from tests.tensorrt import real, under_real
from tests.tensorrt.real import Real
from ugatit_fast.choices import Precision
from ugatit_fast.engine import read_spec
from ugatit_fast.export.plugin_contract import APPLY, APPLY_ADD, STATS

pytest.importorskip("triton", reason='the kernels need Triton: pip install ".[kernels]"')
REFUSAL = "imports IPluginV3 plugins registered with an IPluginCreatorV3One creator only"


@pytest.fixture(scope="module")
def with_plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """A process of its own: what is registered stays so."""
    with real.real_tensorrt(tmp_path_factory.mktemp("with-plugins")) as found:
        assert found.call(under_real.registered_plugins) == sorted([STATS, APPLY, APPLY_ADD])
        yield found


@pytest.mark.parametrize("batch", [1, None], ids=["fixed", "dynamic"])
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_the_parser_comes_to_the_first_plugin(with_plugins: Real, precision: Precision, batch: int | None) -> None:
    """It accepts what lies before, and finds our creator by the name that the node carries."""
    model = tensorrt_model(random_generator(LIGHT), precision, (32, 32), batch, plugins=True)
    first = next(node for node in model.graph.node if node.op_type == STATS)
    error, _ = with_plugins.call(under_real.parsed, model.SerializeToString())
    assert f"cannot parse this: {STATS} {first.name}: " in error
    assert REFUSAL in error


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_without_plugins_the_same_file_is_read_by_its_functions(real_tensorrt: Real, precision: Precision) -> None:
    model = tensorrt_model(random_generator(LIGHT), precision, (32, 32), 1, plugins=True)
    error, _ = real_tensorrt.call(under_real.parsed, model.SerializeToString())
    assert error == ""


def test_auto_falls_back_to_native_with_the_reason(with_plugins: Real, light_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.engine"
    said = with_plugins.call(under_real.auto, light_checkpoint, path)
    assert read_spec(path).tensorrt.kernels == ("native",)
    (line,) = said.ours
    assert "keeping them, since ours failed: " in line
    assert REFUSAL in line
