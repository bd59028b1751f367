"""What documents tell people to type: found in their blocks, and run where the files that they speak of are.

A block of a Markdown file is commands, unless it is marked as `python` or as `text`. One that can't be run has a
comment before it that says why:

    <!-- not run: needs an NVIDIA GPU -->

`translate` and its kind run in this process; what a shell has to put together (`|`, `>`, curl) is run by bash.
"""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import threading
import time
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.architectures.published import Published, randomised
from tests.architectures.published_photo2cartoon import random_state as photo2cartoon_state
from tests.architectures.published_unit import Sizes, random_state
from tests.architectures.published_whitebox import random_variables
from tests.benchmarks.examples import RESULTS
from tests.serve.hosts import hosted
from tests.tensor_bundle.bundle_writer import write_bundle
from tests.weights.server import serving
from ugatit_fast import Translator
from ugatit_fast.assets import sample_photos
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.cli import main
from ugatit_fast.export.build import build_engine
from ugatit_fast.model import GeneratorConfig

ROOT = Path(__file__).resolve().parents[1]
SMALL = GeneratorConfig(ch=8, n_res=1, light=True, img_size=32)
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)
MODULE = re.compile(r"(?:PYTHONPATH=\. )?python3? (?:-m )?(benchmarks[\w./]+)")
VIRTUAL_ENVIRONMENT = ("python3 -m venv .venv", ". .venv/bin/activate")
WEB, SERVER = "https://example.org", "localhost:8000"
"""Where documents fetch from, and what they ask."""
BRIEF = {
    "train --data": "--iterations 1 --ch 2 --n-res 1 --img-size 96 --device cpu --workers 0",
    "train --config": "--iterations 1 --ch 2 --n-res 1 --img-size 96 --device cpu --workers 0",
    "compat --phase train": "--iteration 1 --ch 2 --n_res 1 --img_size 96 --device cpu",
}
"""How a command begins -> what makes its work small."""
BEFORE = {
    "train export-official": "train --data my-set --output runs/my-set --light",
    "study report/": "compare a=selfie2anime.onnx b=half.onnx --photos me.jpg --rounds 0 -o report",
}
"""How a command begins -> what must have been done before."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    language: str
    text: str
    not_run: str | None
    """Why it can't be run, where it can't."""

    @property
    def commands(self) -> list[str]:
        """One by one, without what is said about them."""
        lines = (line.partition("  #")[0].strip() for line in self.text.replace("\\\n", " ").splitlines())
        return [command.strip() for line in lines if line for command in line.split("&&")]


def blocks_of(text: str) -> list[Block]:
    return [Block(found["language"], found["text"], found["why"]) for found in BLOCK.finditer(text)]


def our_words(command: str) -> list[str] | None:
    """What a command gives ugatit-fast; None where it is another's."""
    for part in command.split("|"):
        words = shlex.split(part.partition(">")[0])
        if words[:1] == ["ugatit-fast"]:
            return words[1:]
        if "ugatit_fast.cli" in words:
            return words[words.index("ugatit_fast.cli") + 1 :]
    return None


# The files that documents speak of ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """What takes a while to make, once for all documents."""

    weights: Path
    there: Path
    """An engine A2B with heat maps."""
    back: Path
    half: Path
    """As `there`, in float16."""


def make(folder: Path) -> Made:
    weights = folder / "weights.pt"
    write_random_checkpoint(weights, SMALL, seed=3)
    names = ("there.onnx", "back.onnx", "half.onnx")
    made = Made(weights, *(folder / name for name in names))
    build_engine(weights, made.there, direction="A2B", heatmap=True, backend="onnxruntime")
    build_engine(weights, made.back, direction="B2A", heatmap=True, backend="onnxruntime")
    build_engine(weights, made.half, direction="A2B", heatmap=True, backend="onnxruntime", precision="fp16")
    return made


def furnish(folder: Path, made: Made) -> None:
    """Put there what documents speak of; weights and pictures are small."""
    photo = sample_photos()[0]
    copies = {
        made.weights: "selfie2anime_params_latest.pt selfie2anime.pt ckpt.pt results/selfie2anime_params_latest.pt",
        made.there: "selfie2anime.onnx e.onnx A2B.onnx selfie2anime-A2B.onnx my-set.onnx",
        made.back: "B2A.onnx selfie2anime-B2A.onnx",
        made.half: "half.onnx",
        photo: "me.jpg you.jpg a_dog.jpg cutouts/i.jpg "
        "holiday/a.jpg horses/b.jpg cats/c.jpg party/d.jpg photos/e.jpg testA/f.jpg inbox/g.jpg streets/h.jpg",
    }
    for source, names in copies.items():
        for name in names.split():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    for archive, inside, source in (
        ("selfie2anime.zip", "selfie2anime/selfie2anime.pt", made.weights),
        ("holiday.zip", "a.jpg", folder / "me.jpg"),
    ):
        with zipfile.ZipFile(folder / archive, "w") as file:
            file.write(source, inside)
    torch.save(randomised(Published(ngf=4, n_blocks=1)).state_dict(), folder / "latest_net_G_A.pth")
    torch.save(randomised(Published(ngf=4, n_blocks=1, kind="batch")).state_dict(), folder / "latest_net_G.pth")
    munit = Sizes(dim=4, n_res=1, style=8)
    torch.save({domain: random_state(munit, seed) for seed, domain in enumerate("ab")}, folder / "gen_01000000.pt")
    torch.save({"genA2B": photo2cartoon_state(4)}, folder / "photo2cartoon_weights.pt")
    write_bundle(folder / "saved_models" / "model-33999", random_variables(num_blocks=1))
    noise = np.random.default_rng(0).integers(0, 256, (4, 40, 48, 3), dtype=np.uint8)
    pictures = [Image.fromarray(pixels) for pixels in noise]
    for data in ("my-set", "dataset/selfie2anime"):
        for i, domain in enumerate(("trainA", "trainB", "testA", "testB")):
            (folder / data / domain).mkdir(parents=True)
            pictures[i].resize((130, 130)).save(folder / data / domain / f"{i}.png")
    (folder / "scans").mkdir()
    pictures[0].save(folder / "scans" / "s.tif")
    pictures[0].save(folder / "dance.gif", save_all=True, append_images=pictures[1:], duration=100)
    for name in ("before.json", "after.json", "A.json", "B.json"):
        (folder / name).write_text(json.dumps(asdict(RESULTS)))
    for seed, name in enumerate(("translated.npz", "real.npz")):
        features = np.random.default_rng(seed).normal(size=(24, 2048))
        np.savez(folder / name, fidelity=features)
    (folder / "run.toml").write_text('data = "my-set"\noutput = "runs/of-a-file"\nlight = true\n')


def furnish_clips(folder: Path) -> None:
    """Videos, which take PyAV."""
    from tests.media.videos import write_video

    for name in ("party.mp4", "party.mov"):
        write_video(folder / name, frames=3)


# Running them -----------------------------------------------------------------------------------------------------


class Runner:
    """Runs the commands of a document in the current folder, one after the other."""

    def __init__(self, folder: Path, web: str) -> None:
        self.folder, self.web = folder, web

    def run(self, block: Block) -> None:
        for command in block.commands:
            assert self.passes(command), command

    def passes(self, command: str) -> bool:
        words = our_words(command)
        if any(mark in command for mark in "|>") or command.startswith("curl "):
            return self.by_shell(command)
        if words is not None:
            return self.ours(words)
        if command.startswith("pip install "):
            return installs_what_exists(command)
        if found := MODULE.match(command):
            return (ROOT / found[1].replace(".", "/").removesuffix("/py")).with_suffix(".py").is_file()
        return command in VIRTUAL_ENVIRONMENT

    def ours(self, words: Sequence[str]) -> bool:
        command = " ".join(words)
        for begin, before in BEFORE.items():
            if command.startswith(begin):
                assert self.ours(before.split())
        brief = next((flags for begin, flags in BRIEF.items() if command.startswith(begin)), "")
        done = main([*words, *brief.split()]) == 0
        for checkpoint in list((self.folder / "runs").rglob("my-set_params_0000001.pt")):  # documents name a later step
            for place in (checkpoint.parent, self.folder):
                shutil.copy(checkpoint, place / "my-set_params_0100000.pt")
        return done

    def by_shell(self, command: str) -> bool:
        if shutil.which("curl") is None:
            pytest.skip("needs curl")
        programs = self.folder / ".programs"
        programs.mkdir(exist_ok=True)
        program = programs / "ugatit-fast"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ugatit_fast.cli "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        with Translator("A2B.onnx", heatmap=True) as translator, hosted([translator]) as port:
            told = command.replace(WEB, self.web).replace(SERVER, f"127.0.0.1:{port}").replace("curl ", "curl -f ")
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", told], env=environment, capture_output=True, text=True, check=False
            )
        wrote = shlex.split(command)[-1]
        return done.returncode == 0 and Path(wrote).stat().st_size > 100


def installs_what_exists(command: str) -> bool:
    """Whether it names files that are here and extras that there are."""
    words = shlex.split(command)[2:]
    constraints = [words[i + 1] for i, word in enumerate(words) if word == "-c"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = re.findall(r"^\.\[([\w,-]+)\]$", words[-1])
    asked = {extra for names in named for extra in names.split(",")}
    return all((ROOT / file).is_file() for file in constraints) and bool(asked) and asked <= set(extras)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture
def runner(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """In a folder with everything that documents speak of. What would run until it is stopped, stops by itself."""
    from ugatit_fast.serve import server
    from ugatit_fast.translate.watch import Watcher

    furnish(tmp_path, made)
    monkeypatch.chdir(tmp_path)
    listen, server_of, rounds = server.listen, server.server_of, Watcher.rounds
    monkeypatch.setattr(server, "listen", lambda host, port: listen(host, 0))

    def stopping(*arguments: object, **options: object) -> object:
        made_server = server_of(*arguments, **options)  # type: ignore[arg-type]

        def stop() -> None:
            while not made_server.started:
                time.sleep(0.01)
            made_server.should_exit = True

        threading.Thread(target=stop, daemon=True).start()
        return made_server

    def until_ctrl_c(self: Watcher) -> Iterator[object]:
        for found in rounds(self):
            yield found
            if found:
                raise KeyboardInterrupt

    monkeypatch.setattr(server, "server_of", stopping)
    monkeypatch.setattr(Watcher, "rounds", until_ctrl_c)
    with serving({"/me.jpg": (tmp_path / "me.jpg").read_bytes()}) as web:
        yield Runner(tmp_path, web.origin)
