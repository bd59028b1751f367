"""ONNX Runtimes that list a GPU and can't start on it, in every way that they have."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.conftest import random_pictures
from tests.machines import FakeMachine
from ugatit_fast import Translator, build_engine
from ugatit_fast.backends.doctor import check_providers
from ugatit_fast.backends.needs import Library
from ugatit_fast.backends.providers import CPU_PROVIDER, CUDA_PROVIDER, PROBE, refusal
from ugatit_fast.cli import main
from ugatit_fast.errors import BackendUnavailable

LIBRARY = "libcublasLt.so.13: cannot open shared object file: No such file or directory"
NO_GPU = "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1"
Answer = Callable[..., Any]


def loads_nothing() -> None:
    print("Failed to load /usr/lib/libcublasLt.so.13: " + LIBRARY)


def raises(message: str) -> Answer:
    def answer(*_: object, **__: object) -> None:
        raise RuntimeError(message)

    return answer


TROUBLES: dict[str, tuple[dict[str, Any], str]] = {
    "without its libraries": ({"preload": loads_nothing}, LIBRARY),
    "of before 1.21": ({"preload": None}, "libonnxruntime_providers_cuda"),
    "without a GPU": ({"session": raises(NO_GPU)}, NO_GPU),
    "at the first convolution": (
        {"started": True, "run": raises("cuDNN isn't loaded; onnxruntime")},
        "cuDNN isn't loaded; onnxruntime",
    ),
    "with wrong results": ({"started": True, "run": lambda *_: [np.zeros((1, 1, 1, 1))]}, "it takes 3 x 3 for 0"),
}


def fake_ort(
    *,
    preload: Answer | None = lambda: None,
    session: Answer | None = None,
    run: Answer | None = None,
    started: bool = False,
) -> SimpleNamespace:
    """The real ONNX Runtime in all but its GPU, which it lists. What isn't a provider of the machine it leaves out in
    silence, as ONNX Runtime does; `session` and `run` say what happens on the GPU.
    """

    def open_session(model: Any, options: Any = None, *, providers: list[str], **more: Any) -> Any:
        if CUDA_PROVIDER not in providers:
            return onnxruntime.InferenceSession(model, options, providers=providers, **more)
        assert more == {"enable_fallback": 0}
        if session is not None:
            session()
        names = [CUDA_PROVIDER, CPU_PROVIDER] if started else [CPU_PROVIDER]
        real = onnxruntime.InferenceSession(model, options, providers=[CPU_PROVIDER])
        return SimpleNamespace(get_providers=lambda: names, run=run or real.run)

    about = {"preload_dlls": preload} if preload else {}
    return SimpleNamespace(
        __file__=onnxruntime.__file__,
        __version__="1.31.1",
        InferenceSession=open_session,
        SessionOptions=onnxruntime.SessionOptions,
        get_available_providers=lambda: [CUDA_PROVIDER, CPU_PROVIDER],
        set_default_logger_severity=onnxruntime.set_default_logger_severity,
        **about,
    )


def test_the_probe_is_a_convolution() -> None:
    model = onnx.load_model_from_string(PROBE)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Conv"]


def test_what_is_here_starts(capfd: pytest.CaptureFixture[str]) -> None:
    assert [refusal(onnxruntime, provider) for provider in (CPU_PROVIDER,)] == [None]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("trouble", TROUBLES)
def test_auto_falls_back_and_says_why(
    monkeypatch: pytest.MonkeyPatch, light_engine: Path, light_checkpoint: Path, tmp_path: Path, trouble: str
) -> None:
    options, reason = TROUBLES[trouble]
    pictures = random_pictures(2, 32, 32)
    expected = Translator(light_engine).run(pictures)
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_ort(**options))

    with pytest.warns(UserWarning, match="running on the CPU, since ONNX Runtime can't start on CUDA") as said:
        translator = Translator(light_engine)
    assert reason in str(said[0].message)
    assert translator.device.startswith("CPU")
    np.testing.assert_array_equal(translator.run(pictures), expected)

    with pytest.raises(BackendUnavailable) as refused:
        Translator(light_engine, device="cuda")
    assert reason in str(refused.value)
    assert "--device cpu" in str(refused.value)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Translator(light_engine, device="cpu").device.startswith("CPU")
        build_engine(light_checkpoint, tmp_path / "a.onnx", backend="onnxruntime", size=(32, 32), device="cpu")
    with pytest.raises(BackendUnavailable, match="can't start on CUDA"):
        build_engine(light_checkpoint, tmp_path / "b.onnx", backend="onnxruntime", size=(32, 32), device="cuda")
    assert not (tmp_path / "b.onnx").exists()


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("gpu", [True, False])
def test_doctor_starts_what_is_listed(trouble: str, gpu: bool) -> None:
    options, reason = TROUBLES[trouble]
    machine = FakeMachine({"onnxruntime": Library(fake_ort(**options))}, gpu)  # type: ignore[arg-type]
    cuda, cpu = check_providers(machine, gpu)
    assert (cpu.name, cpu.status) == ("onnxruntime CPU", "ok")
    assert (cuda.name, cuda.status) == ("onnxruntime CUDA", "problem" if gpu else "absent")
    assert reason in cuda.value
    assert ("onnxruntime-gpu" in str(cuda.advice)) is gpu


def test_a_gpu_that_starts_is_taken(monkeypatch: pytest.MonkeyPatch, light_engine: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_ort(started=True))
    for device in ("auto", "cuda"):
        assert Translator(light_engine, device=device).device == "NVIDIA GPU through ONNX Runtime"  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_the_demonstration_has_a_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_ort(preload=loads_nothing))
    assert main(["demo", "--output", str(tmp_path), "--device", device]) == 0
    assert (LIBRARY in capsys.readouterr().err) is (device == "auto")


def test_a_program_sees_no_log_of_onnx_runtimes() -> None:
    code = (
        "import onnxruntime as o; from ugatit_fast.backends.providers import *;"
        "print([refusal(o, p) for p in o.get_available_providers()])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stderr == ""
