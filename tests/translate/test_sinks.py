import errno
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from types import SimpleNamespace

import pytest

from ugatit_fast.errors import InputError
from ugatit_fast.translate.sinks import FolderSink, StdoutSink, ZipSink, open_sink


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, **files: bytes) -> None:
    with open_sink(path) as sink:
        for name, content in files.items():
            sink.put(PurePath(name), content)


def test_the_name_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO()))
    (tmp_path / "folder.zip").mkdir()
    assert isinstance(open_sink(tmp_path / "out"), FolderSink)
    assert isinstance(open_sink(tmp_path / "out.ZIP"), ZipSink)
    assert isinstance(open_sink(tmp_path / "folder.zip"), FolderSink)
    assert isinstance(open_sink(Path("-")), StdoutSink)
    assert list(tmp_path.iterdir()) == [tmp_path / "folder.zip"]


def test_folder(tmp_path: Path) -> None:
    with open_sink(tmp_path / "new" / "out") as sink:
        sink.put(PurePath("sub/a.png"), b"one")
        sink.put(PurePath("sub/a.png"), b"two")
        assert sink.holds(PurePath("sub/a.png"))
        assert not sink.holds(PurePath("a.png"))
        assert not sink.holds(PurePath("sub"))
    assert (tmp_path / "new/out/sub/a.png").read_bytes() == b"two"


def test_archive_holds_what_threads_put_in(tmp_path: Path) -> None:
    files = {PurePath("sub", f"{i}.png"): bytes([i]) * 1000 for i in range(60)}
    with open_sink(tmp_path / "out.zip") as sink, ThreadPoolExecutor(8) as pool:
        list(pool.map(sink.put, files, files.values()))
    assert contents(tmp_path / "out.zip") == {path.as_posix(): content for path, content in files.items()}


def test_archive_appears_at_the_end_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.zip"
    write(path, a=b"old")
    with pytest.raises(KeyboardInterrupt), open_sink(path) as sink:  # noqa: PT012 - the interrupt is what is tested
        sink.put(PurePath("a"), b"new")
        assert contents(path) == {"a": b"old"}
        raise KeyboardInterrupt
    assert contents(path) == {"a": b"old"}
    assert list(tmp_path.iterdir()) == [path]
    write(path, b=b"new")
    assert contents(path) == {"b": b"new"}


@pytest.mark.parametrize("content", [b"", b"notes", b"PK"])
def test_archive_takes_the_place_of_none_but_ours(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "out.zip"
    path.write_bytes(content)
    with pytest.raises(InputError, match="would be lost"):
        open_sink(path)
    with zipfile.ZipFile(path, "w") as someone_elses:
        someone_elses.writestr("a.png", b"precious")
    with pytest.raises(InputError, match="would be lost"):
        open_sink(path)
    assert contents(path) == {"a.png": b"precious"}


def test_an_archive_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "no" / "folder" / "out.zip", a=b"x")
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot write .*out\.zip"):
            write(tmp_path / "out.zip", a=bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_not_text_can_be_packed(tmp_path: Path) -> None:
    with open_sink(tmp_path / "out.zip") as sink:
        sink.put(PurePath("caf\udce9.png"), b"x")
    assert contents(tmp_path / "out.zip") == {"caf?.png": b"x"}


def test_stdout_is_given_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(256)) + b"\r\n\n"
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, newline="\r\n"))
    with open_sink(Path("-")) as sink:
        sink.put(PurePath("stdin.png"), content)
        assert raw.getvalue() == content


def test_stdout_that_cannot_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, expected in ((OSError(errno.ENOSPC, "full"), InputError), (BrokenPipeError(), BrokenPipeError)):

        def refuse(content: bytes, error: OSError = error) -> int:
            raise error

        stdout = SimpleNamespace(buffer=SimpleNamespace(write=refuse), isatty=lambda: False)
        monkeypatch.setattr("sys.stdout", stdout)
        with pytest.raises(expected), open_sink(Path("-")) as sink:
            sink.put(PurePath("a.png"), b"x")


def test_stdout_that_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(InputError, match="terminal"):
        open_sink(Path("-"))
