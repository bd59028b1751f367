"""Our own engines as contenders: built once a checkpoint, loaded as `Translator` loads them."""

import json
from pathlib import Path

from ugatit_fast.backends.base import Backend, Images
from ugatit_fast.backends.runtimes import RUNTIMES, open_backend
from ugatit_fast.bench.contenders import Case
from ugatit_fast.bench.results import Target
from ugatit_fast.choices import BuiltKind, Loading, Precision
from ugatit_fast.engine import read_spec


def build(case: Case, *, kind: BuiltKind, precision: Precision) -> tuple[Path, float]:
    """The engine file for a case, and the seconds it took; one already built that serves the case is taken again."""
    from ugatit_fast.export.build import build_engine

    runtime, network = RUNTIMES[kind], case.network
    for built in sorted(case.folder.glob(f"engine-{kind}-{precision}-*.json")):
        facts = json.loads(built.read_text())
        spec = read_spec(facts["path"])
        serves_batch = not spec.batch_sizes or network.batch in spec.batch_sizes
        if serves_batch and spec.check_size(network.height, network.width) is None:
            return Path(facts["path"]), facts["seconds"]
    name = f"engine-{kind}-{precision}-{network.height}x{network.width}-batch{network.batch}"
    engine = build_engine(
        case.checkpoint,
        case.folder / (name + runtime.suffix),
        backend=kind,
        precision=precision,
        batch=() if runtime.any_batch else (network.batch,),
        size=(network.height, network.width),
        direction=network.direction,
    )
    facts = {"path": str(engine.path), "seconds": engine.seconds}
    (case.folder / f"{name}.json").write_text(json.dumps(facts))
    return engine.path, engine.seconds


class EngineRunning:
    """An engine on its backend, without the checks of `Translator` on every batch."""

    concurrent = True
    build_seconds = 0.0

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def run(self, images: Images) -> Images:
        return self.backend.run(images)[0]


def load(case: Case, file: Path, *, target: Target) -> EngineRunning:
    return EngineRunning(open_backend(file, read_spec(file), Loading(device=target, threads=case.network.threads)))
