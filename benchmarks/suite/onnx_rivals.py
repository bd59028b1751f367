"""The unfolded generator as torch.onnx exports it, in the runtimes that take such a file."""

import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ugatit_fast.backends.base import Images
from ugatit_fast.backends.ort import Session, choose_provider, import_onnxruntime
from ugatit_fast.bench.contenders import Case
from ugatit_fast.bench.results import Target

if TYPE_CHECKING:
    import torch

OPSET = 20


def export(case: Case, *, half: bool) -> tuple[Path, float]:
    """The generator between uint8 pictures as ONNX, and the seconds it took; made once for all contenders of a case."""
    from ugatit_fast.bench.torch_rivals import example_of, pictures_of

    network = case.network
    precision = "fp16" if half else "fp32"
    path = case.folder / f"plain-{precision}-{network.height}x{network.width}-batch{network.batch}.onnx"
    facts = path.with_suffix(".json")
    if not facts.exists():
        started = perf_counter()
        module = pictures_of(case, target="cpu", half=half, channels_last=False)
        export_plainly(module, example_of(case, "cpu"), path)
        facts.write_text(json.dumps(perf_counter() - started))
    seconds: float = json.loads(facts.read_text())
    return path, seconds


def export_for_cuda(case: Case, *, half: bool) -> tuple[Path, float]:
    """`export`, but BackendUnavailable at once where this ONNX Runtime couldn't run the file on a GPU."""
    choose_provider(import_onnxruntime(), "cuda")
    return export(case, half=half)


def export_quantised(case: Case) -> tuple[Path, float]:
    """`export` in eight bits by ONNX Runtime's own tool, and the seconds both took.

    As its documentation advises: preprocessed, QDQ, one scale an output channel of a kernel, ranges from photos. The
    convolutions alone: with all that it would round, version 1.32 makes a file of this network that it refuses to load
    ("Incompatible dimensions" of a division).
    """
    from onnxruntime.quantization import QuantType, quantize_static, shape_inference

    from ugatit_fast.export.calibration import calibration_pictures

    network = case.network
    plain, seconds = export(case, half=False)
    started = perf_counter()
    prepared, path = plain.with_suffix(".prepared.onnx"), plain.with_suffix(".quantised.onnx")
    shape_inference.quant_pre_process(plain, prepared)
    photos = calibration_pictures(None, (network.height, network.width))
    batches = iter([{"image": np.stack([photo] * network.batch)} for photo in photos])
    quantize_static(
        prepared,
        path,
        PhotoReader(batches),
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return path, seconds + perf_counter() - started


def export_by_nncf(case: Case) -> tuple[Path, float]:
    """`export` in eight bits by OpenVINO's own tool with its defaults, and the seconds both took."""
    import nncf
    import openvino

    from ugatit_fast.export.calibration import calibration_pictures

    network = case.network
    plain, seconds = export(case, half=False)
    started = perf_counter()
    photos = calibration_pictures(None, (network.height, network.width))
    batches = nncf.Dataset([np.stack([photo] * network.batch) for photo in photos])
    path = plain.with_suffix(".xml")
    openvino.save_model(nncf.quantize(openvino.Core().read_model(plain), batches), path, compress_to_fp16=False)
    return path, seconds + perf_counter() - started


class PhotoReader:
    """What the tool asks for one batch after the other; its own base class takes whoever has this method."""

    def __init__(self, batches: Iterator[dict[str, Images]]) -> None:
        self.batches = batches

    def get_next(self) -> dict[str, Images] | None:
        return next(self.batches, None)


def export_plainly(module: "torch.nn.Module", example: "torch.Tensor", path: Path) -> None:
    """One input, one output, fixed sizes: what the exporter's documentation tells people to do."""
    import torch

    torch.onnx.export(
        module,
        (example,),
        path,
        input_names=["image"],
        output_names=["translated"],
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
    )


class OrtRunning:
    """ONNX Runtime on the CPU or an NVIDIA GPU."""

    concurrent = True
    build_seconds = 0.0

    def __init__(self, case: Case, file: Path, *, target: Target) -> None:
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = case.network.threads
        options.log_severity_level = 3
        provider = choose_provider(ort, target)
        self.session: Session = ort.InferenceSession(file, options, providers=[provider], enable_fallback=0)

    def run(self, images: Images) -> Images:
        translated: Images = self.session.run(None, {"image": images})[0]
        return translated


class OpenVinoRunning:
    """OpenVINO on the CPU, compiled for latency."""

    concurrent = False
    build_seconds = 0.0

    def __init__(self, case: Case, file: Path) -> None:
        import openvino

        settings = {
            "INFERENCE_NUM_THREADS": case.network.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        started = perf_counter()
        self.request: Any = openvino.Core().compile_model(str(file), "CPU", settings).create_infer_request()
        self.build_seconds = perf_counter() - started

    def run(self, images: Images) -> Images:
        self.request.infer([images])
        return np.array(self.request.get_output_tensor(0).data)
