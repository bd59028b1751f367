"""NVIDIA's real Python bindings without its libraries, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VERSIONS = ("10.16.1.11", "11.4.0.106")
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")


def installed(version: str) -> Path | None:
    """The folder that `make test` installs these bindings into, or None."""
    folder = ROOT / ".venv" / f"tensorrt-{version}" / "tensorrt_bindings"
    return folder if folder.is_dir() else None


def prepare(version: str, folder: Path) -> dict[str, str]:
    """Environment in which `import tensorrt` is the real binding of this version; skips where that can't be."""
    bindings, compiler = installed(version), which("cc")
    if bindings is None:
        pytest.skip(f"tensorrt-cu13-bindings {version} is not in .venv/tensorrt-{version}; `make test` installs it")
    if compiler is None:
        pytest.skip("no C compiler (cc) for the stub of TensorRT's libraries")
    for library in LIBRARIES:
        name = f"lib{library}.so.{version.split('.')[0]}"
        command = [compiler, "-w", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name]
        subprocess.run([*command, HERE / "stub_library.c"], check=True)
    (folder / "tensorrt").symlink_to(bindings, target_is_directory=True)
    paths = {"LD_LIBRARY_PATH": [str(folder)], "PYTHONPATH": [str(folder), str(ROOT)]}
    joined = {name: os.pathsep.join([*added, os.environ.get(name, "")]).rstrip(":") for name, added in paths.items()}
    return os.environ | joined


def run_under(environment: dict[str, str], script: str, *arguments: str) -> str:
    """What a script of this folder prints; fails the test with its output where it fails."""
    command = [sys.executable, str(HERE / script), *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
