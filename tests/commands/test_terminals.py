"""Terminals that can't show a name, settings that Windows' editors wrote, and values where a flag has none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ugatit_fast.cli import main
from ugatit_fast.commands.train import read_toml
from ugatit_fast.errors import InputError

ROOT = Path(__file__).parents[2]
NAMES = ["自撮り.png", "Müller ✨.png"]
if sys.platform == "linux":
    NAMES.append(os.fsdecode(b"caf\xe9.png"))


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp932", "utf-8"])
def test_names_that_a_terminal_cannot_show(light_engine: Path, tmp_path: Path, encoding: str) -> None:
    out = tmp_path / "出力"
    for name in NAMES:
        Image.new("RGB", (32, 32), "red").save(tmp_path / name, "PNG")
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "ugatit_fast.cli", "translate", light_engine, *(tmp_path / n for n in NAMES)]
    for arguments in ([*command, "-o", out], [*command, tmp_path / "無い.png", "-o", out]):
        done = subprocess.run(arguments, capture_output=True, env=environment, cwd=tmp_path, check=False)
        assert b"Traceback" not in done.stderr
        assert (b"doesn't exist" in done.stderr) is (done.returncode == 1) is (arguments[-3] != command[-1])
    assert set(NAMES) <= {path.name for path in out.iterdir()}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_settings_by_any_editor(tmp_path: Path, encoding: str, newline: str) -> None:
    text = newline.join(["# Größe", "img_size = 128", "data = 'C:\\photos'", ""])
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (tmp_path / "run.toml").write_bytes(mark + text.encode(encoding))
    assert read_toml(tmp_path / "run.toml") == {"img_size": 128, "data": "C:\\photos"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"img_size = 128\nch = \n", ["isn't TOML", "line 2", "expected lines like img_size = 256"]),
        (b'data = "C:\\users"\n', ["isn't TOML", "line 1", "write paths with / or in single quotes"]),
        ("ch = 64\n# Größe\n".encode("cp1252"), ["isn't UTF-8 (line 2); save it as UTF-8"]),
        (b"\xff\xfea", ["isn't UTF-8"]),
        (None, ["is a folder; expected a TOML file"]),
        ("", ["can't be read", "check the name"]),
    ],
)
def test_settings_that_cannot_be_read(
    tmp_path: Path, content: bytes | str | None, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.toml"
    if content is None:
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_toml(path)
    assert all(word in str(raised.value) for word in [*words, str(path)])
    assert main(["train", "--data", str(tmp_path), "--output", str(tmp_path / "run"), "--config", str(path)]) == 1
    assert capsys.readouterr().err == f"error: {raised.value}\n"


@pytest.mark.parametrize("value", ["True", "False", "yes", "1"])
def test_a_value_where_a_flag_has_none(tmp_path: Path, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", "--data", str(tmp_path), "--output", "x", "--light"]
    for arguments in ([*train, value], ["doctor", "--json", value]):
        assert main(arguments) == 2
        said = " ".join(capsys.readouterr().err.replace("│", " ").split())
        assert f"expected no {value} there: flags such as --light have no value" in said


def test_a_word_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "please"]) == 2
    assert "expected no please there; see --help" in " ".join(capsys.readouterr().err.replace("│", " ").split())
