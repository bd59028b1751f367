"""What people name -> a file or folder that is here."""

import sys
from pathlib import Path

import pytest

from ugatit_fast.errors import CheckpointError
from ugatit_fast.export.ready import ready_engine
from ugatit_fast.weights.locate import fetched


def test_a_missing_file_is_told_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name mistyped and PyTorch missing, the name comes first: nobody should install 3 GB for it."""
    for library in ("torch", "onnx", "onnxscript"):
        monkeypatch.setitem(sys.modules, library, None)
    for name in ("nosuch.zip", "nosuch.pt", "folder/nosuch"):
        with pytest.raises(CheckpointError, match=r"nosuch(\.zip|\.pt)?: No such file or directory; check the path"):
            ready_engine(tmp_path / name)


def test_a_file_that_is_here_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "here.pt").write_bytes(b"anything")
    assert fetched(tmp_path / "here.pt") == (tmp_path / "here.pt", False)
