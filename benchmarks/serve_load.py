"""The server under load: `python benchmarks/serve_load.py [ENGINE] [-o FILE]`. Prints JSON; exits 1 where it fails.

Clients of their own threads and connections send photos to `ugatit-fast serve`, each as soon as its last answer came,
and compare every answer, byte for byte, with what the engine makes of that photo. Three questions:

- load: are all answers right, none lost, and the slowest in a hundred within 3 times what its place in the queue costs?
- memory: does the server's memory stay where it is over many requests?
- batching: are batches on this machine no worse than one photo at a time?

Without ENGINE, random weights of the smallest generator are made into one.
"""

import http.client
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
from cyclopts import App, Parameter
from PIL import Image

from ugatit_fast.bench.environment import condition, machine, now
from ugatit_fast.bench.random_weights import write_random_checkpoint
from ugatit_fast.export.build import build_engine
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import decode_image, encode_image
from ugatit_fast.model import GeneratorConfig
from ugatit_fast.translator import Translator

Figures = dict[str, Any]
"""What goes into a results file."""

SMALLEST = GeneratorConfig(ch=8, n_res=1, light=True)
SIZE = (64, 64)
PHOTOS = 64
"""Different ones; a client's next is another than its last, and than its neighbour's."""
WARM_REQUESTS = 200
"""Before memory is looked at: until then threads and arenas come up."""
QUEUE_ALLOWANCE = 3.0
"""The slowest in a hundred may take this many times what its place in the queue costs."""
MEMORY_ALLOWANCE = 1.05
BATCHING_ALLOWANCE = 0.95
"""Images/s in batches, over those of one at a time, for them to be no worse; runs differ by a few percent."""

app = App(help=__doc__)


@dataclass
class Tally:
    """What clients saw."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    """Answers that weren't what the engine makes of the photo sent."""
    lost: int = 0
    """Requests without an answer, or with another status than 200."""

    def summary(self, wall_seconds: float) -> Figures:
        cuts = statistics.quantiles(self.seconds, n=100, method="inclusive")
        return {
            "requests": len(self.seconds),
            "wrong": self.wrong,
            "lost": self.lost,
            "images_per_second": round(len(self.seconds) / wall_seconds, 2),
            "p50_ms": round(1000 * cuts[49], 2),
            "p99_ms": round(1000 * cuts[98], 2),
        }


@dataclass(frozen=True)
class Exchange:
    """A photo and the only right answer to it."""

    photo: bytes
    translation: bytes


@app.default
def main(
    engine: Path | None = None,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    clients: int = 64,
    seconds: float = 60,
    requests: int = 20_000,
    batching_clients: int = 16,
    max_batch: int = 8,
    threads: int | None = None,
) -> int:
    """Ask the three questions.

    Parameters
    ----------
    engine
        An engine file; one of random weights unless given.
    output
        Where to write the JSON as well.
    clients
        At once, for the first question.
    seconds
        How long each run takes.
    requests
        For the second question.
    batching_clients
        At once, for the third.
    max_batch
        The batches of the third.
    threads
        As for `ugatit-fast serve`.
    """
    options = () if threads is None else ("--threads", str(threads))
    with TemporaryDirectory() as folder:
        engine = engine or smallest_engine(Path(folder))
        exchanges = make_exchanges(engine)
        with serving(engine, *options) as (port, pid):
            single = run(port, exchanges, clients=1, seconds=min(seconds, 5))
            load = run(port, exchanges, clients=clients, seconds=seconds)
            memory = memory_over(port, pid, exchanges, requests)
        batching = compare_batching(engine, exchanges, batching_clients, max_batch, seconds, options)
    limit_ms = QUEUE_ALLOWANCE * single["p50_ms"] * clients
    claims = {
        "every answer right": load["wrong"] == 0 and memory["wrong"] == 0,
        "none lost": load["lost"] == 0 and memory["lost"] == 0,
        f"p99 under {limit_ms:.0f} ms": load["p99_ms"] < limit_ms,
        "memory flat": memory["end_mib"] < MEMORY_ALLOWANCE * memory["warm_mib"],
        "batching no worse": batching["ratio"] >= BATCHING_ALLOWANCE,
    }
    found = {
        "when": now(),
        "machine": asdict(machine()),
        "condition": asdict(condition()),
        "single": single,
        "load": {"clients": clients} | load,
        "memory": memory,
        "batching": {"clients": batching_clients, "max_batch": max_batch} | batching,
        "claims": claims,
    }
    text = json.dumps(found, indent=2, default=str)
    print(text)
    if output:
        output.write_text(text + "\n")
    return 0 if all(claims.values()) else 1


def smallest_engine(folder: Path) -> Path:
    write_random_checkpoint(folder / "smallest.pt", SMALLEST, seed=1)
    return build_engine(folder / "smallest.pt", size=SIZE, backend="onnxruntime").path


def make_exchanges(engine: Path) -> list[Exchange]:
    chance = np.random.default_rng(0)
    exchanges = []
    with Translator(engine) as translator:
        size = translator.spec.height, translator.spec.width
        for _ in range(PHOTOS):
            rough = Image.fromarray(chance.integers(0, 256, (9, 7, 3), dtype=np.uint8))
            photo = encode_image(np.array(rough.resize((400, 300))), ".jpg")
            seen = fit_image(decode_image(photo, "photo", at_least=size[::-1]), size, "crop")
            exchanges.append(Exchange(photo, encode_image(translator.run(seen[None])[0], ".png")))
    return exchanges


@contextmanager
def serving(engine: Path, *options: str) -> Iterator[tuple[int, int]]:
    """`ugatit-fast serve` with one engine; gives its port and process id."""
    command = [sys.executable, "-m", "ugatit_fast.cli", "serve", str(engine), "--port", "0", *options]
    with subprocess.Popen([*command, "--max-queue", "256"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r":(\d+);", line)
        if found is None:
            raise SystemExit(f"the server didn't start: {line}{process.stderr.read()}")
        try:
            port = int(found.group(1))
            run_until_ready(port)
            yield port, process.pid
        finally:
            process.terminate()


def run_until_ready(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while True:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        response.read()
        if response.status == 200:
            return
        time.sleep(0.1)


def run(port: int, exchanges: Sequence[Exchange], *, clients: int, seconds: float) -> Figures:
    """What `clients` see in so many seconds."""
    end = time.perf_counter() + seconds
    return tally_of(port, exchanges, clients, lambda: time.perf_counter() < end)


def tally_of(port: int, exchanges: Sequence[Exchange], clients: int, goes_on: Callable[[], bool]) -> Figures:
    tallies = [Tally() for _ in range(clients)]
    threads = []
    for first, tally in enumerate(tallies):
        own = [exchanges[(first + i) % PHOTOS] for i in range(PHOTOS)]
        threads.append(threading.Thread(target=send, args=(port, own, tally, goes_on)))
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_seconds = time.perf_counter() - start
    whole = Tally(
        [one for tally in tallies for one in tally.seconds],
        sum(tally.wrong for tally in tallies),
        sum(tally.lost for tally in tallies),
    )
    return whole.summary(wall_seconds)


def send(port: int, exchanges: Sequence[Exchange], tally: Tally, goes_on: Callable[[], bool]) -> None:
    """One client: a connection, and a request as soon as the last one is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    for exchange in itertools.cycle(exchanges):
        if not goes_on():
            break
        start = time.perf_counter()
        try:
            connection.request("POST", "/v1/translate", exchange.photo, {"Content-Type": "image/jpeg"})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            tally.lost += 1
            connection.close()
            continue
        tally.seconds.append(time.perf_counter() - start)
        tally.lost += response.status != 200
        tally.wrong += response.status == 200 and content != exchange.translation
    connection.close()


def memory_over(port: int, pid: int, exchanges: Sequence[Exchange], requests: int) -> Figures:
    """The server's resident memory before and after so many requests of 8 clients."""

    def after(count: int) -> tuple[Figures, float]:
        left = itertools.count()
        seen = tally_of(port, exchanges, 8, lambda: next(left) < count)
        return seen, resident_mib(pid)

    _, warm_mib = after(WARM_REQUESTS)
    seen, end_mib = after(requests)
    return seen | {"warm_mib": warm_mib, "end_mib": end_mib}


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def compare_batching(
    engine: Path, exchanges: Sequence[Exchange], clients: int, max_batch: int, seconds: float, options: Sequence[str]
) -> Figures:
    """The same load on a server that batches and one that doesn't, by turns, each twice."""
    seen: dict[str, list[Figures]] = {"1": [], str(max_batch): []}
    for size in [*seen, *reversed(seen)]:
        with serving(engine, "--max-batch", size, *options) as (port, _):
            run(port, exchanges, clients=clients, seconds=min(seconds, 3))
            seen[size].append(run(port, exchanges, clients=clients, seconds=seconds / 2))
    rates = {size: statistics.mean(one["images_per_second"] for one in runs) for size, runs in seen.items()}
    return {"runs": seen, "ratio": round(rates[str(max_batch)] / rates["1"], 3)}


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
