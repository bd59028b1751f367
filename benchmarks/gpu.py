"""`make gpu`: what needs an NVIDIA GPU, in one command from a checkout: `PYTHONPATH=. python benchmarks/gpu.py`.

Runs the GPU tests where pytest is there, times a training step and every kernel, and races the engines against their
rivals at batch 1 and 32. Writes benchmarks/results/<gpu>.json, its table and its charts, and
benchmarks/results/training/<gpu>.json. Made to end within nine minutes: what doesn't fit is a row that says so. Needs
torch for CUDA, triton, numpy, onnx, safetensors and pillow; exits 1 where a test or an engine of ours failed.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from ugatit_fast.bench.environment import file_stem, has_nvidia_gpu, machine
from ugatit_fast.bench.gate import failures
from ugatit_fast.bench.report import write_report
from ugatit_fast.bench.results import Settings
from ugatit_fast.bench.suite import Plan, run_suite
from ugatit_fast.bench.tables import markdown

ROOT = Path(__file__).resolve().parent.parent
TOTAL_SECONDS = 540
TEST_SECONDS = 120
TRAINING_SECONDS = 90
BATCHES = (1, 32)
LIMIT_SECONDS = 90.0
"""For compiling one rival, which is what takes long."""
ROUNDS_SECONDS = 60.0
"""What is kept for the rounds and the photos after the last rival was opened."""


def gpu_tests() -> bool:
    """Whether all passed; True, with a line, where there is no pytest."""
    if find_spec("pytest") is None:
        print("no pytest here: the GPU tests did not run")
        return True
    marks = ("mark.gpu", "mark.tensorrt")
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if any(m in path.read_text() for m in marks)]
    if not files:
        print("no GPU tests in this checkout")
        return True
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu or tensorrt", *map(str, files)]
    try:
        return subprocess.run(command, cwd=ROOT, timeout=TEST_SECONDS, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"the GPU tests took longer than {TEST_SECONDS} s and were stopped")
        return False


def training_step() -> None:
    """Measure a step of the trainer; a figure that is missed is in its file, and no failure of the engines."""
    output = ROOT / "benchmarks" / "results" / "training" / f"{file_stem(machine().name)}.json"
    output.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.training_step", "-o", str(output)]
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=TRAINING_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"the training step took longer than {TRAINING_SECONDS} s and was stopped")
        return
    if done.returncode != 0:
        print("the training step failed or missed a figure; see above")


def main() -> int:
    if not has_nvidia_gpu():
        print("error: nvidia-smi finds no NVIDIA GPU here; `ugatit-fast bench` measures the CPU", file=sys.stderr)
        return 1
    started = perf_counter()
    passed = gpu_tests()
    training_step()
    settings = Settings(
        rounds=5,
        turn_seconds=0.3,
        throughput_rounds=2,
        callers=4,
        limit_seconds=LIMIT_SECONDS,
        budget_seconds=TOTAL_SECONDS - (perf_counter() - started) - LIMIT_SECONDS - ROUNDS_SECONDS,
        photos=16,
    )
    plan = Plan(batches=BATCHES, device="cuda", kernels=True)
    results, path = run_suite(plan, settings=settings, say=lambda line: print(line, file=sys.stderr, flush=True))
    page = write_report(results, path)
    print(markdown(results))
    print(f"{path} and {page.name}; {perf_counter() - started:.0f} s; GPU tests {'passed' if passed else 'FAILED'}")
    wrong = failures(results)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 0 if passed and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
