"""The Dockerfiles, as far as they can be checked without Docker: what they copy, install and run is there."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from ugatit_fast import cli

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
INSTRUCTIONS = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "USER", "WORKDIR",
}  # fmt: skip


def instructions(file: Path) -> Iterator[tuple[str, str]]:
    """Each instruction with its arguments on one line, comments left out."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.partition(" ")
        yield name, rest.strip()


def arguments_of(file: Path, wanted: str) -> list[str]:
    return [rest for name, rest in instructions(file) if name == wanted]


def ignored(path: str) -> bool:
    """By .dockerignore: the last rule that matches the path or a folder above it decides."""
    result = False
    for rule in (ROOT / ".dockerignore").read_text().splitlines():
        if rule and not rule.startswith("#"):
            pattern = rule.removeprefix("!")
            above = [path, *map(str, Path(path).parents)]
            if any(fnmatch(part, pattern) for part in above) or fnmatch(path, pattern.replace("**/", "*")):
                result = not rule.startswith("!")
    return result


def test_there_is_one_for_each_machine() -> None:
    assert [file.name for file in FILES] == ["cpu.Dockerfile", "cuda.Dockerfile"]


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    path = request.param
    assert isinstance(path, Path)
    return path


def test_only_known_instructions(file: Path) -> None:
    assert {name for name, _ in instructions(file)} <= INSTRUCTIONS


def test_what_is_copied_exists_and_is_sent(file: Path) -> None:
    copied = [word for rest in arguments_of(file, "COPY") if "--from" not in rest for word in rest.split()[:-1]]
    assert {"setup.py", "constraints.txt", "ugatit_fast", "kernels", "export", "train", "assets"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists(), name
        assert not ignored(name)
    assert ignored("tests/test_docker.py")
    assert ignored(".git/config")
    assert ignored("ugatit_fast/__pycache__/cli.pyc")


def test_everything_that_setup_packages_is_copied(file: Path) -> None:
    folders = re.search(r"FOLDERS = \{(.*)\}", (ROOT / "setup.py").read_text())
    assert folders
    copied = {rest.split()[0] for rest in arguments_of(file, "COPY")}
    assert set(re.findall(r': "([\w/]+)"', folders[1])) <= copied


def test_what_is_installed_exists_and_is_pinned(file: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (install,) = [rest for rest in arguments_of(file, "RUN") if "pip install" in rest]
    words = shlex.split(install)
    assert words[words.index("-c") + 1] == "constraints.txt"
    extras = re.search(r"\.\[([\w,]+)\]", install)
    assert extras
    wanted = {"cpu": {"cpu", "serve"}, "cuda": {"cpu", "torch", "tensorrt", "serve"}}[file.stem]
    assert set(extras[1].split(",")) == wanted
    assert wanted <= set(project["optional-dependencies"])
    for rest in arguments_of(file, "FROM"):
        assert re.match(r"python:3\.11\.\d+-slim-\w+( AS \w+)?$", rest), "a tag that moves"
    pins = (ROOT / "constraints.txt").read_text().lower().replace("_", "-").splitlines()
    constrained = {line.partition("==")[0] for line in pins}
    needed = [need for extra in wanted - {"tensorrt"} for need in project["optional-dependencies"][extra]]
    for need in needed:
        name = re.split(r"[^\w-]", need)[0].lower().replace("_", "-")
        assert name in constrained, f"{name} isn't pinned in constraints.txt"


def test_the_tensorrt_is_the_one_that_is_tested() -> None:
    (argument,) = arguments_of(ROOT / "docker" / "cuda.Dockerfile", "ARG")
    versions = re.search(r"TENSORRT_BINDINGS := (.*)", (ROOT / "Makefile").read_text())
    assert versions
    assert argument.removeprefix("TENSORRT=") in versions[1].split()


def test_it_serves_as_nobody_in_particular(file: Path) -> None:
    names = [name for name, _ in instructions(file)]
    assert arguments_of(file, "USER") == ["1000"]  # a number, which a host can tell from root
    assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")
    (entry,), (command,) = arguments_of(file, "ENTRYPOINT"), arguments_of(file, "CMD")
    program, verb, *options = re.findall(r'"([^"]*)"', entry)
    assert program == "ugatit-fast"
    arguments = [*options, *re.findall(r'"([^"]*)"', command)]
    cli.app[verb].parse_args(arguments, exit_on_error=False)
    assert "0.0.0.0" in options  # so serve insists on an API key
    (health,) = arguments_of(file, "HEALTHCHECK")
    assert "/healthz" in health
    assert arguments_of(file, "EXPOSE") == [options[options.index("--port") + 1]]
