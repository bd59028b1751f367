"""Whether this machine can run a TensorRT engine: told from what the file says of itself, before TensorRT sees it."""

from pathlib import Path

from ugatit_fast.backends.gpu import architecture, open_gpu
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import EngineError


def check_fits(path: Path, spec: EngineSpec) -> None:
    """EngineError where the engine was built for another GPU or TensorRT; a bare plan doesn't say."""
    if spec.tensorrt is None:
        return
    import tensorrt

    built_for = (spec.tensorrt.gpu_architecture, spec.tensorrt.tensorrt_version)
    here = (architecture(open_gpu()), tensorrt.__version__)
    if built_for != here:
        raise EngineError(
            f"{path} was built for {built_for[0]} with TensorRT {built_for[1]}; this machine is {here[0]} with "
            f"{here[1]}. Rebuild it here: ugatit-fast build-engine {rebuild_options(spec)}"
        )


def rebuild_options(spec: EngineSpec) -> str:
    """What makes build-engine build such an engine again."""
    options = [
        f"CHECKPOINT --backend {spec.kind}",
        f"--precision {spec.precision}",
        f"--direction {spec.direction}",
        f"--batch {','.join(map(str, spec.batch_sizes))}",
        f"--size {spec.height}x{spec.width}",
        *(["--heatmap"] if spec.heatmap else []),
        *(["--dynamic-batch"] if spec.tensorrt and spec.tensorrt.dynamic_batch else []),
    ]
    return " ".join(options)
