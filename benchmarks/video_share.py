"""A video through an engine: `python benchmarks/video_share.py [ENGINE] [-o FILE]`. Prints JSON; exit 1 where it fails.

Two questions, about clips of 10 s and 60 s, each translated by a process of its own:

- share: is the engine running for at least 85 % of the wall time, so that decoding and encoding cost next to nothing?
- memory: is the peak for the long clip that for the short one?

Without ENGINE, random weights of the published light generator are made into one for 256x256.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import av
import numpy as np
from cyclopts import App, Parameter

from ugatit_fast.bench.environment import condition, machine, now
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.export.build import build_engine
from ugatit_fast.model import GeneratorConfig
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.pipeline import translate_files
from ugatit_fast.translate.sources import find_images
from ugatit_fast.translator import Translator

LIGHT = GeneratorConfig(light=True)
SHARE = 0.85
MEMORY_ALLOWANCE = 1.10
"""Peaks of equal runs differ by a few percent: by what allocators keep, and when."""

app = App(help=__doc__)


@app.default
def measure(
    engine: Path | None = None,
    /,
    *,
    seconds: tuple[int, int] = (10, 60),
    rate: int = 10,
    height: int = 720,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    """Translate a short and a long clip.

    Parameters
    ----------
    engine
        The engine file.
    seconds
        How long the two clips are.
    rate
        Their frames a second.
    height
        Their height in pixels; they are 16:9, H.264 with sound.
    output
        A file for what is printed, too.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        engine = engine or light_engine(folder)
        clips = []
        for length in seconds:
            write_clip(folder / f"{length}.mp4", length * rate, rate, height)
            command = [sys.executable, __file__, "one", str(engine), str(folder / f"{length}.mp4")]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            clips.append({"seconds": length, **json.loads(done.stdout)})
    growth = clips[1]["peak_mib"] / clips[0]["peak_mib"]
    passes = {"share": min(clip["share"] for clip in clips) >= SHARE, "memory": growth <= MEMORY_ALLOWANCE}
    found = {
        "when": now(),
        "machine": asdict(machine()),
        "condition": asdict(condition()),
        "clip": f"{height * 16 // 9}x{height}, {rate} frames/s",
        "clips": clips,
        "growth": round(growth, 3),
        "passes": passes,
    }
    text = json.dumps(found, indent=2, default=str)
    print(text)
    if output:
        output.write_text(text + "\n", encoding="utf-8")
    return 0 if all(passes.values()) else 1


@app.command
def one(engine: Path, clip: Path, /) -> None:
    """Translate one clip in this process, and print what it took.

    Parameters
    ----------
    engine
        The engine file.
    clip
        The video.
    """
    with Translator(engine) as translator:
        translator.warmup()
        options = TranslateOptions(gallery=False)
        report = translate_files(translator, find_images([clip]), clip.with_suffix(""), options)
    found: dict[str, object] = {
        "frames": report.frames,
        "frames_per_second": round(report.images_per_second, 2),
        "share": round(report.engine_share, 3),
        "stages": {stage: round(taken, 2) for stage, taken in vars(report.stages).items()},
        "wall_seconds": round(report.wall_seconds, 2),
        "peak_mib": peak_mib(),
    }
    print(json.dumps(found))


def peak_mib() -> float:
    """Of this program alone: what getrusage tells begins with whoever started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return round(int(status["VmHWM"].split()[0]) / 1024, 1)


def light_engine(folder: Path) -> Path:
    write_random_checkpoint(folder / "light.pt", LIGHT, seed=0)
    return build_engine(folder / "light.pt", backend="onnxruntime").path


def write_clip(path: Path, frames: int, rate: int, height: int) -> None:
    """Colours that move over noise that doesn't compress well: as much work for the decoder as a film is."""
    width = height * 16 // 9
    random = np.random.default_rng(0)
    texture = random.integers(0, 64, (height, 2 * width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "23", "preset": "veryfast"})
        sound = container.add_stream("aac", rate=48_000, layout="mono")
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            picture = texture[:, number * 8 % width :][:, :width] + np.uint8(number % 180)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))
        for start in range(0, 48_000 * frames // rate - 1024, 1024):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 48_000, start
            container.mux(sound.encode(silence))
        container.mux(sound.encode(None))


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
