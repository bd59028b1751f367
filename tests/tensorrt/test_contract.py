"""Our use of TensorRT against its real Python bindings, oldest and newest that we serve, on any machine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tensorrt.bindings import HERE, ROOT, VERSIONS, prepare, run_under

SOURCES = sorted(
    path
    for folder in ("ugatit_fast/backends", "export")
    for path in (ROOT / folder).glob("*.py")
    if re.search(r"^\s*import tensorrt\b", path.read_text("utf-8"), re.MULTILINE)
)


@pytest.fixture(scope="module", params=VERSIONS)
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return prepare(request.param, tmp_path_factory.mktemp(f"tensorrt-{request.param}"))


def test_everything_that_we_use_exists_with_that_meaning(environment: dict[str, str]) -> None:
    """Of what is checked, some is named here, so that a checker that checks nothing fails."""
    assert {path.name for path in SOURCES} >= {"trt.py", "tensorrt_engine.py", "tensorrt_plugin.py", "timing_cache.py"}
    report = run_under(environment, "contract.py", str(HERE / "fake_tensorrt.py"), *map(str, SOURCES))
    for call in (
        *("Builder.create_network", "Builder.build_serialized_network", "OnnxParser.parse_from_file"),
        *("IBuilderConfig.set_timing_cache", "ITimingCache.combine", "Runtime.deserialize_cuda_engine"),
        *("IExecutionContext.execute_async_v3", "IOptimizationProfile.set_shape", "ParserError.desc"),
    ):
        assert call in report.split(), report


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = trt.BuilderFlag.FP99", "has no trt.BuilderFlag.FP99"),
        ("trt.Builder(log).create_networks(0)", "Builder of .* has no create_networks"),
        ("def f(c: trt.IBuilderConfig): c.set_timing_cache(b'')", "isn't called like this"),
        ("def f(c: trt.IBuilderConfig): c.set_timing_cache(b'', ignore=True)", "isn't called like this"),
        ("def f(c: trt.IBuilderConfig): c.level = 3", "has no level"),
        ("class M(trt.IProgressMonitor):\n def step_complete(self, step): ...", "isn't given"),
    ],
)
def test_the_checker_finds_what_is_wrong(
    environment: dict[str, str], tmp_path: Path, source: str, problem: str
) -> None:
    (tmp_path / "wrong.py").write_text(f"import tensorrt as trt\n{source}\n")
    command = [sys.executable, str(HERE / "contract.py"), str(HERE / "fake_tensorrt.py"), str(tmp_path / "wrong.py")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.search(problem, result.stdout), result.stdout


def test_the_plugins_pass_the_real_validators(environment: dict[str, str]) -> None:
    report = run_under(environment, "register_plugins.py")
    assert "checked 3 plugins" in report
