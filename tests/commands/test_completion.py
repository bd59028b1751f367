"""`--install-completion`: what it writes, asked by a real bash what it would complete."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts.completion import detect

from ugatit_fast.cli import main

BASH = shutil.which("bash") or ""
ASK = """
cd "$HOME"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
command=$(complete -p ugatit-fast); command=${command#*-F }
${command%% *}
printf '%s\\n' "${COMPREPLY[@]}"
"""
"""What a TAB after the words does, with the function that the startup file gave bash for `ugatit-fast`."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with two files in it."""
    for name in ("selfie2anime.pt", "me.jpg"):
        (tmp_path / name).touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def completed(home: Path, *words: str) -> set[str]:
    """What bash offers for the last of the words."""
    command = [BASH, "--noprofile", "--rcfile", str(home / ".bashrc"), "-i", "-c", ASK, "bash", *words]
    done = subprocess.run(command, env=os.environ | {"HOME": str(home)}, capture_output=True, text=True, check=False)
    return set(done.stdout.split())


@pytest.mark.skipif(not BASH, reason="needs bash")
def test_bash_completes_verbs_options_values_and_files(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".bashrc").write_text("# mine\n")
    assert main(["--install-completion", "--shell", "bash"]) == 0
    written = Path(capsys.readouterr().out.partition(": ")[0])
    assert written.is_file()
    assert (home / ".bashrc").read_text().startswith("# mine\n")
    for words, offered in {
        ("tr",): {"translate", "train"},
        ("--inst",): {"--install-completion"},
        ("bench", "com"): {"compare"},
        ("translate", "--prec"): {"--precision"},
        ("translate", "--fit", "p"): {"pad"},
        ("translate", "self"): {"selfie2anime.pt"},
        ("translate", "selfie2anime.pt", "me"): {"me.jpg"},
        ("build-engine", "self"): {"selfie2anime.pt"},
        ("inspect", "self"): {"selfie2anime.pt"},
        ("serve", "selfie2anime.pt", "self"): {"selfie2anime.pt"},
    }.items():
        assert completed(home, "ugatit-fast", *words) == offered, words


@pytest.mark.parametrize(
    ("shell", "place"),
    [("zsh", ".zsh/completions/_cyclopts_ugatit-fast"), ("fish", ".config/fish/completions/ugatit-fast.fish")],
)
def test_other_shells_get_theirs(home: Path, capsys: pytest.CaptureFixture[str], shell: str, place: str) -> None:
    assert main(["--install-completion", "--shell", shell]) == 0
    assert capsys.readouterr().out.startswith(f"{home / place}: ")
    script = (home / place).read_text()
    assert "translate" in script
    assert "paste-back" in script


def test_where_it_cannot_be(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise detect.ShellDetectionError("Unable to detect shell type.")

    with monkeypatch.context() as patched:
        patched.setattr(detect, "detect_shell", unknown)
        assert main(["--install-completion"]) == 1
    assert capsys.readouterr().err == "error: Unable to detect shell type. Name it: --install-completion --shell bash\n"
    (home / ".zsh").touch()
    assert main(["--install-completion", "--shell", "zsh"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the script can't be written")


def test_the_list_of_verbs_says_what_each_does() -> None:
    """In a process of its own, where no verb was imported before."""
    program = "import sys; from ugatit_fast.cli import main; sys.exit(main(['--help']))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "Build an engine from a checkpoint" in shown
