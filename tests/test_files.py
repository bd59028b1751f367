import errno
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ugatit_fast.errors import InputError
from ugatit_fast.files import locked, staged, written_whole


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with written_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("error", [ValueError("ours"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def fail_half_way(writer: Callable[[Path], AbstractContextManager[Path]]) -> None:
        with writer(path) as partial:
            partial.write_text("half")
            raise error

    for writer in (written_whole, staged):
        with pytest.raises(type(error)):
            fail_half_way(writer)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "no permission"),
        (errno.EIO, "Input/output"),
    ],
)
def test_an_operating_systems_error_says_what_to_do(tmp_path: Path, number: int, said: str) -> None:
    for writer in (written_whole, staged):
        with pytest.raises(InputError, match=f"cannot write .*: .*{said}"), writer(tmp_path / "x"):
            raise OSError(number, "Input/output error" if number == errno.EIO else "")
    assert not list(tmp_path.iterdir())


def test_several_files_move_together(tmp_path: Path) -> None:
    with staged(tmp_path / "x.onnx") as path:
        path.write_text("graph")
        path.with_name("x.onnx.data").write_text("weights")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"x.onnx": "graph", "x.onnx.data": "weights"}


def test_others_may_read_what_safetensors_wrote(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with written_whole(tmp_path / "x") as partial:
        save_file({"x": torch.zeros(1)}, partial)
    with staged(tmp_path / "y") as path:
        for one in (path, path.with_name("y.data")):
            save_file({"x": torch.zeros(1)}, one)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "x", "y", "y.data")}
    assert len(modes) == 1


HOLDER = """
import sys, time
from pathlib import Path
from ugatit_fast.files import locked
with locked(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def holding(lock: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock for so long."""
    command = [sys.executable, "-c", HOLDER, str(lock), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


def test_a_lock_is_one_process_s_until_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holding(lock, seconds=60) as holder:
        with pytest.raises(BlockingIOError, match="locked by another process"), locked(lock, wait=False):
            pass
        holder.kill()
    with locked(lock, wait=False):
        pass


def test_a_lock_can_be_waited_for(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holding(lock, seconds=0.5):
        start = time.monotonic()
        with locked(lock, wait=True):
            assert time.monotonic() - start > 0.3
