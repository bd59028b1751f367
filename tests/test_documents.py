"""Documents are executable: what README, docs/ and every verb's help tell people to type is typed here."""

from pathlib import Path

import pytest

from tests.commands.test_options import COMMANDS
from tests.documents import ROOT, Block, Runner, blocks_of, furnish_clips, made, our_words, runner
from ugatit_fast.cli import app

__all__ = ["made", "runner"]  # fixtures

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "examples/README.md",
]
LANGUAGES = {"", "python", "text"}
NOT_RUN = {
    "ugatit-fast bench --quick": "takes a minute; tests/benchmarks/test_suite.py",
    "ugatit-fast bench selfie2anime.pt --batch 1,8 --size 256 -o mine.json": "takes minutes",
    "ugatit-fast camera selfie2anime.zip": "needs a camera; tests/camera",
    "ugatit-fast camera selfie2anime.onnx --input party.mp4 --port 0": "shows it for ever; tests/camera",
    "ugatit-fast data example prints": "takes a minute; tests/train/example",
    "ugatit-fast data get horse2zebra": "needs the network; tests/train/test_published_data.py",
    "ugatit-fast data get selfie2anime faces --archive selfie2anime.zip": "needs the archive; the same",
    "ugatit-fast study result report/": "needs answers of people; tests/study",
    "ugatit-fast study result selfie2anime/ horse2zebra/ --json study.json": "the same",
    "ugatit-fast evaluate anime/ my-set/testB --download": "needs the network; tests/train/evaluation",
}
"""How examples of the help begin that aren't run, and why; they are read like the others."""


def read(command: str) -> None:
    """Whether the command line takes it; raises what it wouldn't."""
    words = our_words(command)
    if words is not None:
        app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_are_marked(page: Path) -> None:
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    assert page.read_text(encoding="utf-8").count("\n```") == 2 * len(blocks)
    assert {block.language for block in blocks} <= LANGUAGES
    for block in blocks:
        assert block.not_run is None or (block.language == "" and len(block.not_run) > 10)
        for command in block.commands if block.language == "" else ():
            read(command)


def with_blocks(language: str) -> list[Path]:
    return [page for page in PAGES if any(is_run(block, language) for block in blocks_of(page.read_text("utf-8")))]


def is_run(block: Block, language: str) -> bool:
    return block.language == language and block.not_run is None


@pytest.mark.parametrize("page", with_blocks(""), ids=lambda page: page.name)
def test_every_command_runs_in_its_order(page: Path, runner: Runner) -> None:
    if page.name == "translating.md":
        pytest.importorskip("av", reason="needs the extra video")
        furnish_clips(runner.folder)
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if is_run(block, ""):
            runner.run(block)


@pytest.mark.parametrize("page", with_blocks("python"), ids=lambda page: page.name)
def test_python_runs_as_it_stands(page: Path, runner: Runner) -> None:
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if is_run(block, "python"):
            exec(compile(block.text, page.name, "exec"), {})  # noqa: S102 - ours


def examples_of(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return [command for block in blocks_of("\n".join(lines) + "\n") for command in block.commands]


@pytest.mark.parametrize("function", [pytest.param(one.values[1], id=str(one.id)) for one in COMMANDS])
def test_the_help_of_every_verb_has_examples_that_run(function: object, runner: Runner) -> None:
    examples = examples_of(str(function.__doc__))
    assert examples
    for command in examples:
        assert len(command) <= 76, "as wide as a terminal"
        read(command)
        if command.startswith(tuple(NOT_RUN)):
            continue
        if "party.mp4" in command:
            pytest.importorskip("av", reason="needs the extra video")
            furnish_clips(runner.folder)
        assert runner.passes(command), command


def test_what_is_not_run_is_said_of_examples_that_there_are() -> None:
    everything = [command for one in COMMANDS for command in examples_of(str(one.values[1].__doc__))]
    for begin in NOT_RUN:
        assert any(command.startswith(begin) for command in everything), begin
    run = [command for command in everything if not command.startswith(tuple(NOT_RUN))]
    assert len({" ".join(command.split()[:2]) for command in run}) >= 15
