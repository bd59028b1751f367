"""Ray: what can be said without it, and then a real cluster of two replicas on this machine."""

import http.client
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from tests.media.pictures import photo
from ugatit_fast import Translator
from ugatit_fast.errors import BackendUnavailable, EngineError, InputError
from ugatit_fast.media.images import load_image
from ugatit_fast.on_ray.cluster import PRIVATE, refuse_too_much, refuse_unreachable, resources
from ugatit_fast.on_ray.folder import Outcomes, Replica, translate_on_ray
from ugatit_fast.on_ray.options import RayOptions
from ugatit_fast.translate.options import TranslateOptions
from ugatit_fast.translate.sources import Source, find_images

ONE_EACH = RayOptions(replicas=2, threads=1)


# Without Ray ------------------------------------------------------------------------------------------------------


def test_resources(light_engine: Path) -> None:
    assert resources(ONE_EACH, light_engine) == {"num_cpus": 1, "num_gpus": 0}
    assert resources(replace(ONE_EACH, gpus_per_replica=0.5), light_engine)["num_gpus"] == 0.5
    assert resources(replace(ONE_EACH, device="cuda", threads=3), light_engine) == {"num_cpus": 3, "num_gpus": 1}
    with pytest.raises(EngineError):
        resources(ONE_EACH, Path(__file__))


@pytest.mark.parametrize("wrong", [{"replicas": 0}, {"gpus_per_replica": -1.0}, {"gpus_per_replica": float("nan")}])
def test_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        RayOptions(**wrong)


def test_more_than_there_is() -> None:
    needs = {"num_cpus": 1, "num_gpus": 0.5}
    refuse_too_much(ONE_EACH, needs, {"CPU": 2, "GPU": 1})
    with pytest.raises(InputError, match=r"2 replicas of 0\.5 GPUs are 1, and the cluster has 0"):
        refuse_too_much(ONE_EACH, needs, {"CPU": 2})
    with pytest.raises(InputError, match="--threads"):
        refuse_too_much(ONE_EACH, needs, {"CPU": 1, "GPU": 4})


def test_nobody_at_the_address() -> None:
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"):
        with pytest.raises(InputError, match=re.escape(address)):
            refuse_unreachable(address)
    refuse_unreachable("auto")
    refuse_unreachable("local")


def block_of(sources: list[Source]) -> dict[str, Any]:
    return {
        "index": np.arange(len(sources)),
        "path": [os.fsencode(source.path) for source in sources],
        "name": [os.fsencode(source.relative) for source in sources],
    }


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five photos, one of them no photo, one with a name that isn't text."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate([b"1.png", b"2.jpg", b"sub/3.png", b"\xff.png"]):
        content = io.BytesIO()
        Image.fromarray(photo(50 + i, 40, seed=i)).save(content, "PNG")
        (folder / os.fsdecode(name)).write_bytes(content.getvalue())
    (folder / "bad.png").write_bytes(b"no photo")
    return folder


def test_a_block_and_its_report(light_engine: Path, photos: Path, tmp_path: Path) -> None:
    sources, out = find_images([photos]), tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    (out / "sub" / "3.png").touch()
    replica = Replica(light_engine, out, TranslateOptions(skip_existing=True, gallery=False), ONE_EACH, False)
    done = Outcomes(sources)
    half = len(sources) // 2
    # The second half first: replicas answer when they are ready.
    for part in (range(half, len(sources)), range(half)):
        answer = replica(block_of([sources[i] for i in part]))
        done.add(answer | {"index": np.array(part)})
    report = done.report(out, 1.0, replicas=2)
    assert {path.relative_to(out) for path in report.translated} == {PurePath("1.png"), PurePath("2.jpg"),
                                                                    PurePath(os.fsdecode(b"\xff.png"))}  # fmt: skip
    assert [path.relative_to(out) for path in report.translated] == [
        s.relative for s in sources if s.relative.name not in ("3.png", "bad.png")
    ]
    assert report.skipped == 1
    assert [failure.path for failure in report.failures] == [photos / "bad.png"]
    assert not (out / "index.html").exists()


def test_what_stops_a_replica_stops_the_run(light_engine: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sources = find_images([photos])
    replica = Replica(light_engine, tmp_path / "file", TranslateOptions(gallery=False), ONE_EACH, False)
    with pytest.raises(InputError, match="is a file"):
        Outcomes(sources).add(replica(block_of(sources)))


def test_without_ray(light_engine: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_TOKEN", *PRIVATE):
        monkeypatch.setenv(name, "")  # so that what is set goes again
    with pytest.raises(BackendUnavailable, match=r"pip install .*\[ray\]"):
        translate_on_ray(light_engine, find_images([photos]), tmp_path / "out", TranslateOptions(), ONE_EACH)


@pytest.mark.parametrize("out", ["out.zip", "-"])
def test_only_folders(light_engine: Path, photos: Path, tmp_path: Path, out: str) -> None:
    target = tmp_path / out if out != "-" else Path("-")
    with pytest.raises(InputError, match="--on"):
        translate_on_ray(light_engine, find_images([photos]), target, TranslateOptions(), ONE_EACH)


# With Ray ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Marked:
    """Processes that we started, and those that they did, told by a variable in their environment."""

    mark: str

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        program = [sys.executable, "-c", "import sys; from ugatit_fast.cli import main; sys.exit(main())"]
        return subprocess.Popen(
            [*program, *map(str, arguments)],
            env=os.environ | {"UGATIT_TEST": self.mark, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def find(self, title: str = "") -> list[int]:
        """Their ids, of those with `title` in their command line."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_text()
                environment = (process / "environ").read_bytes().split(b"\0")
            except OSError:  # it has ended, or is somebody else's
                continue
            if f"UGATIT_TEST={self.mark}".encode() in environment and title in command and command:
                found.append(int(process.name))
        return found

    def end(self) -> None:
        for process in self.find():
            os.kill(process, signal.SIGKILL)


@pytest.fixture
def marked() -> Iterator[Marked]:
    pytest.importorskip("ray", reason="needs the extra ray")
    if not Path("/proc/self/environ").exists():
        pytest.skip("tells processes apart by /proc")
    processes = Marked(uuid4().hex)
    yield processes
    processes.end()


def eventually(condition: Callable[[], bool], seconds: float = 40) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_a_folder(marked: Marked, light_engine: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("translate", light_engine, photos, "-o", out, "--on", "ray", "--replicas", "2")
    process = marked.start(*command)
    told, err = process.communicate(timeout=90)
    assert process.returncode == 1, err
    assert "4 translated" in told
    assert "1 of 5 failed" in told
    (error,) = [line for line in err.splitlines() if "error" in line.lower()]
    assert "bad.png" in error
    with Translator(light_engine) as translator:
        for name in ("1.png", os.fsdecode(b"\xff.png")):
            expected = Image.fromarray(load_image(photos / name))
            assert load_image(out / name).shape == (32, 32, 3)
            box = square_of(expected)
            shown = np.array(expected.resize((32, 32), Image.Resampling.BILINEAR, box=box))
            np.testing.assert_array_equal(load_image(out / name), translator.run(shown[None])[0])
    assert eventually(lambda: not marked.find())


def square_of(picture: Image.Image) -> tuple[float, float, float, float]:
    """The middle of a picture, which --fit crop shows."""
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    return left, top, left + side, top + side


@dataclass
class Client:
    """One client with a picture of its own, which tries again when it isn't answered."""

    port: int
    content: bytes
    expected: Any
    answered: int = 0
    retries: int = 0
    wrong: int = 0

    def request(self) -> None:
        for _ in range(200):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                headers = {"Content-Type": "image/png", "Accept": "image/png"}
                connection.request("POST", "/v1/translate", self.content, headers)
                response = connection.getresponse()
                answer = response.read()
                if response.status == 200:
                    picture = np.array(Image.open(io.BytesIO(answer)))
                    self.wrong += not np.array_equal(picture, self.expected)
                    self.answered += 1
                    return
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            self.retries += 1
            time.sleep(0.1)
        raise AssertionError("never answered")

    def keep_asking(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.request()


@pytest.mark.slow
def test_a_server_outlives_its_replicas(marked: Marked, light_engine: Path) -> None:
    server = marked.start("serve", light_engine, "--port", "0", "--on", "ray", "--replicas", "2")
    assert server.stderr
    told = []
    for line in server.stderr:
        told.append(line)
        if "serving" in line:
            break
    address = re.search(r"http://127\.0\.0\.1:(\d+)", told[-1])
    assert address, told
    with Translator(light_engine) as translator:
        clients = []
        for seed in range(8):
            pixels = photo(32, 32, seed)
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            clients.append(Client(int(address[1]), content.getvalue(), translator.run(pixels[None])[0]))

    replicas = marked.find("ray::ServeReplica")
    assert len(replicas) == 2
    environment = Path(f"/proc/{replicas[0]}/environ").read_bytes().split(b"\0")
    assert b"RAY_USAGE_STATS_ENABLED=0" in environment
    stop = threading.Event()
    with ThreadPoolExecutor(len(clients)) as pool:
        asking = [pool.submit(client.keep_asking, stop) for client in clients]
        try:
            assert eventually(lambda: all(client.answered > 2 for client in clients))
            os.kill(replicas[0], signal.SIGKILL)
            killed = time.monotonic()
            before = [client.answered for client in clients]
            assert eventually(lambda: len(set(marked.find("ray::ServeReplica")) - {replicas[0]}) == 2)
            replaced_s = time.monotonic() - killed
            assert eventually(lambda: all(c.answered > b + 2 for c, b in zip(clients, before, strict=True)))
        finally:
            stop.set()
        for one in asking:
            one.result()  # raises where a request was lost
    assert sum(client.wrong for client in clients) == 0
    answered, retries = sum(client.answered for client in clients), sum(client.retries for client in clients)
    print(f"{answered} answered, {retries} tried again, a replica replaced after {replaced_s:.1f} s")

    server.send_signal(signal.SIGTERM)
    assert server.wait(40) == 0
    assert eventually(lambda: not marked.find())
