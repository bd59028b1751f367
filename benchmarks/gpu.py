"""`make gpu`: what needs an NVIDIA GPU, from a checkout: `PYTHONPATH=. python benchmarks/gpu.py [PART]`.

    tests         the GPU tests, in parallel where pytest-xdist is there
    kernels       every kernel against its rivals
    race          the engines against theirs, at one batch size (`--batch N`)
    training      a step of the trainer
    (no part)     all of these, the race at batch 1 and 32

A part takes at most ten minutes: what doesn't fit is a row that says so. Results are files named after the GPU and the
part in the output folder. Needs torch for CUDA, triton, numpy, onnx, safetensors and pillow; exits 1 where a test or an
engine of ours failed.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from ugatit_fast.bench.environment import file_stem, has_nvidia_gpu, machine
from ugatit_fast.bench.gate import failures
from ugatit_fast.bench.outputs import add_output, output_of, script_parser
from ugatit_fast.bench.report import write_report
from ugatit_fast.bench.results import Settings
from ugatit_fast.bench.suite import Plan, run_suite
from ugatit_fast.bench.tables import markdown

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("tests", "kernels", "race", "training")
PART_SECONDS = 540
BATCHES = (1, 32)
RIVAL_SECONDS = 200.0
"""For opening one rival: max-autotune takes minutes with nothing cached."""
KERNEL_SECONDS = 90.0
"""For all rows of one kernel: torch.compile takes some 25 of them."""
ROUNDS_SECONDS = 60.0
"""What is kept for the rounds and the photos after the last rival was opened."""
WORKERS = 8
"""Tests at once: each compiles kernels for a second, and a GPU runs them in between."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = script_parser(__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS, help="only this one")
    parser.add_argument(
        "--batch", type=int, metavar="N", help=f"of the race; both {BATCHES[0]} and {BATCHES[1]} unless given"
    )
    add_output(parser, ROOT / "benchmarks" / "results", "folder for the results")
    chosen = parser.parse_args(arguments)
    if not has_nvidia_gpu():
        print("error: nvidia-smi finds no NVIDIA GPU here; `ugatit-fast bench` measures the CPU", file=sys.stderr)
        return 1
    batches = (chosen.batch,) if chosen.batch else BATCHES
    parts = [chosen.part] if chosen.part else PARTS
    output = output_of(parser, chosen, *(file.name for part in parts for file in files_of(part, batches)))
    output.mkdir(parents=True, exist_ok=True)
    done = [run(part, batches, output) for part in parts]
    return 0 if all(done) else 1


def files_of(part: str, batches: Sequence[int]) -> list[Path]:
    """What a part writes."""
    if part == "tests":
        return [log_of(Path())]
    named = [f"batch-{batch}" for batch in batches] if part == "race" else [part]
    return [result_file(name, Path()) for name in named]


def run(part: str, batches: Sequence[int], output: Path) -> bool:
    """Whether a part went well; its results are in the output folder either way."""
    started = perf_counter()
    if part == "tests":
        well = gpu_tests(output)
    elif part == "training":
        well = training_step(output)
    elif part == "kernels":
        well = suite(Plan(batches=(), device="cuda", kernels=True), part, output, KERNEL_SECONDS)
    else:
        ran = [suite(Plan(batches=(batch,), device="cuda"), f"batch-{batch}", output) for batch in batches]
        well = all(ran)
    print(f"{part}: {'done' if well else 'FAILED'}, {perf_counter() - started:.0f} s")
    return well


def result_file(part: str, output: Path) -> Path:
    return output / f"{file_stem(machine().name)}-{part}.json"


def log_of(output: Path) -> Path:
    return result_file("tests", output).with_suffix(".txt")


def gpu_tests(output: Path) -> bool:
    """Whether all passed; what pytest says is in the output folder too."""
    if find_spec("pytest") is None:
        print("no pytest here: the GPU tests did not run")
        return False
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "-m", "gpu or tensorrt", *test_files()]
    if find_spec("xdist") is not None:
        command += ["-n", str(WORKERS)]
    log = log_of(output)
    with log.open("w") as file:
        try:
            done = subprocess.run(
                command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, timeout=PART_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            print(f"the GPU tests took longer than {PART_SECONDS} s and were stopped; see {log}")
            return False
    print(*log.read_text(errors="replace").splitlines()[-20:], sep="\n")
    return done.returncode == 0


def test_files() -> list[str]:
    """All of tests/kernels, whose tests run compiled where there is a GPU, and whatever else has a mark for one."""
    kernels = ROOT / "tests" / "kernels"
    others = [
        path
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if kernels not in path.parents and any(mark in path.read_text() for mark in ("mark.gpu", "mark.tensorrt"))
    ]
    return [str(path) for path in (kernels, *others)]


def training_step(output: Path) -> bool:
    """Whether the step was measured; a figure that it misses is in its file, and no failure."""
    file = result_file("training", output)
    command = [sys.executable, "-m", "benchmarks.training_step", "-o", str(file)]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    try:
        subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, timeout=PART_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"the training step took longer than {PART_SECONDS} s and was stopped")
    return file.exists()


def suite(plan: Plan, part: str, output: Path, limit_seconds: float = RIVAL_SECONDS) -> bool:
    """Whether our engines ran and were right. limit_seconds: for opening one contender, or for one kernel."""
    settings = Settings(
        rounds=5,
        turn_seconds=0.3,
        throughput_rounds=2,
        callers=4,
        limit_seconds=limit_seconds,
        budget_seconds=PART_SECONDS - limit_seconds - ROUNDS_SECONDS,
        photos=16,
    )
    say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    results, path = run_suite(plan, result_file(part, output), settings=settings, say=say)
    page = write_report(results, path)
    print(markdown(results))
    print(f"{path} and {page.name}")
    wrong = failures(results)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return not wrong


if __name__ == "__main__":
    sys.exit(main())
