"""Would another CPU runtime run our folded graph faster than ONNX Runtime does? `python -m benchmarks.cpu_runtimes`

A race as `ugatit-fast bench` runs it, of our engine and plain ONNX Runtime against OpenVINO and MNN
(`pip install openvino MNN`) on the folded graph: as pixel rows, the form of our engine's file, and as convolutions,
for which MNN has Winograd kernels of its own. They must pass the gate for rivals. The results go to
benchmarks/results/cpu-runtimes/; what followed from them is in docs/decisions.md.
"""

import sys
from pathlib import Path
from time import perf_counter

import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, helper
from onnx.inliner import inline_local_functions

from ugatit_fast.bench.contenders import CPU, MNN, ONNX, PLAIN_ORT, Case, Contender, Lazily, ours
from ugatit_fast.bench.environment import file_stem, machine
from ugatit_fast.bench.mnn_rival import convert
from ugatit_fast.bench.outputs import add_output, output_of, script_parser
from ugatit_fast.bench.report import write_report
from ugatit_fast.bench.results import Settings
from ugatit_fast.bench.suite import Plan, run_suite
from ugatit_fast.checkpoint import read_checkpoint
from ugatit_fast.engine import EngineSpec
from ugatit_fast.export.onnx_graph import to_onnx
from ugatit_fast.files import make_folder
from ugatit_fast.kernels.image import COLOURS

RESULTS = Path(__file__).parent / "results" / "cpu-runtimes"
HERE = "benchmarks.cpu_runtimes"


def contenders() -> list[Contender]:
    engine = ours("onnxruntime")
    (plain,) = [one for one in CPU if one.name == PLAIN_ORT]
    openvino, mnn = Lazily(ONNX, "OpenVinoRunning"), Lazily(MNN, "MnnRunning")
    install = "pip install openvino MNN"
    return [
        engine,
        plain,
        Contender("OpenVINO, our engine file", "rival", "cpu", "fp32", ("openvino",), install, openvino, engine.build),
        Contender(
            "OpenVINO, folded convolutions",
            "rival",
            "cpu",
            "fp32",
            ("openvino",),
            install,
            openvino,
            Lazily(HERE, "build_convolutions"),
        ),
        Contender(
            "MNN, folded convolutions", "rival", "cpu", "fp32", ("MNN",), install, mnn, Lazily(HERE, "build_mnn")
        ),
    ]


def folded_convolutions(case: Case) -> ModelProto:
    """The folded graph of a case as float32 convolutions between uint8 pictures, in standard operators alone."""
    network = case.network
    source = read_checkpoint(case.checkpoint, network.direction)
    size = (network.height, network.width)
    spec = EngineSpec.of(source, kind="onnxruntime", any_size=False, size=size)
    model = to_onnx(source.folded(), spec, form="convolutions", batch=network.batch)
    model = inline_local_functions(model)
    shape = [network.batch, *size, COLOURS]
    for picture in (*model.graph.input, *model.graph.output):
        picture.CopyFrom(helper.make_tensor_value_info(picture.name, TensorProto.UINT8, shape))
    return model


def build_convolutions(case: Case) -> tuple[Path, float]:
    """An ONNX file, and the seconds it took."""
    started = perf_counter()
    path = case.folder / "folded-convolutions.onnx"
    onnx.save(folded_convolutions(case), path)
    return path, perf_counter() - started


def build_mnn(case: Case) -> tuple[Path, float]:
    """A file in MNN's format, and the seconds it took."""
    started = perf_counter()
    path = case.folder / "folded-convolutions.mnn"
    planes, plain = path.with_suffix(".planes.onnx"), path.with_suffix(".plain.onnx")
    onnx.save(between_planes(folded_convolutions(case)), planes)
    options = onnxruntime.SessionOptions()  # folds what is constant, of which MNN gets some shapes wrong
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(plain)
    onnxruntime.InferenceSession(planes, options, providers=["CPUExecutionProvider"])
    convert(plain, path)
    return path, perf_counter() - started


def between_planes(model: ModelProto) -> ModelProto:
    """The same network between float32 (n, 3, h, w) in [-1, 1]: MNN converts no uint8 input."""
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    n, h, w, c = (dimension.dim_value for dimension in graph.input[0].type.tensor_type.shape.dim)
    first = next(node.output[0] for node in graph.node if node.op_type == "Transpose")
    last = next(node.output[0] for node in graph.node if node.op_type == "Tanh")
    wanted, kept = [last], {}
    while wanted:
        name = wanted.pop()
        if name in producers and name != first and id(producers[name]) not in kept:
            kept[id(producers[name])] = producers[name]
            wanted += producers[name].input
    nodes = [node for node in graph.node if id(node) in kept]
    for node in nodes:
        for values in (node.input, node.output):
            values[:] = [{first: "image", last: "translated"}.get(value, value) for value in values]
    planes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [n, c, h, w]) for name in ("image", "translated")]
    smaller = helper.make_graph(nodes, graph.name, planes[:1], planes[1:], graph.initializer)
    return helper.make_model(smaller, opset_imports=model.opset_import, ir_version=model.ir_version)


def main() -> None:
    parser = script_parser(__doc__)
    add_output(parser, RESULTS / f"{file_stem(machine().name)}.json", "file for the results")
    output = output_of(parser, parser.parse_args())
    make_folder(output.parent)
    settings = Settings(throughput_rounds=0, callers=1, photos=0)
    results, path = run_suite(
        Plan(device="cpu"), output, settings=settings, table=contenders(), say=lambda line: print(line, file=sys.stderr)
    )
    print(write_report(results, path).read_text())


if __name__ == "__main__":
    main()
