"""The shipped weights as engines, for machines without PyTorch:

    python -m benchmarks.shipped_engines --force    # writes assets/*.onnx anew: whenever assets/*.safetensors change

The same weights, version and libraries give the same bytes; a test holds the engines to the weights.
"""

from pathlib import Path
from typing import get_args

from ugatit_fast.assets import shipped_engine, shipped_weights
from ugatit_fast.bench.outputs import add_output, output_of, script_parser
from ugatit_fast.choices import Direction
from ugatit_fast.export.build import build_engine

SIZE = (256, 256)
"""Height and width that the engines name as theirs; they serve any."""


def build_shipped(direction: Direction, output: Path) -> None:
    """Build the engine of one direction, with heat maps, and check it."""
    build_engine(shipped_weights(direction), output, backend="onnxruntime", size=SIZE, heatmap=True)


def main() -> None:
    """Build both."""
    directions: tuple[Direction, ...] = get_args(Direction)
    names = [shipped_engine(direction).name for direction in directions]
    parser = script_parser(__doc__)
    add_output(parser, shipped_engine("A2B").parent, "folder for the engines")
    output = output_of(parser, parser.parse_args(), *names)
    for direction, name in zip(directions, names, strict=True):
        engine = output / name
        build_shipped(direction, engine)
        print(f"{engine}: {engine.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
