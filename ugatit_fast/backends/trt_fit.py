"""Whether this machine can run an engine of plans: told from what the file says of itself, before TensorRT sees it."""

from pathlib import Path

from ugatit_fast.backends.gpu import architecture, open_gpu
from ugatit_fast.backends.needs import architectures
from ugatit_fast.engine import EngineSpec
from ugatit_fast.errors import EngineError


def check_fits(path: Path, spec: EngineSpec, gpu: int | None = None) -> None:
    """EngineError where the engine was built for another GPU or TensorRT; a bare plan doesn't say."""
    if spec.tensorrt is None:
        return
    import tensorrt

    built_for = (spec.tensorrt.gpu_architecture, spec.tensorrt.tensorrt_version)
    here = (architecture(open_gpu(gpu)), tensorrt.__version__)
    if built_for != here:
        raise EngineError(
            f"{path} was built for {built_for[0]} with TensorRT {built_for[1]}; this machine is {here[0]} with "
            f"{here[1]}. Rebuild it here: {rebuild_command(spec)}"
        )


def check_fits_rtx(path: Path, spec: EngineSpec, gpu: int | None = None) -> None:
    """EngineError where the engine was built for other GPUs, or by another TensorRT for RTX."""
    refusal = rtx_refusal(spec, gpu)
    if refusal is None:
        return
    import tensorrt_rtx

    if (here := architecture(open_gpu(gpu))) in architectures(tensorrt_rtx):
        raise EngineError(f"{path} {refusal}. Rebuild it, here or elsewhere: {rebuild_command(spec)}")
    raise EngineError(
        f"{path} {refusal}. TensorRT for RTX doesn't know {here}; build a cuda or a tensorrt engine for it"
    )


def rtx_refusal(spec: EngineSpec, gpu: int | None = None) -> str | None:
    """Why an engine for TensorRT for RTX doesn't fit this machine's GPU and library; None where it does."""
    facts = spec.tensorrt_rtx
    assert facts is not None, "engines for TensorRT for RTX have these"
    import tensorrt_rtx

    here = architecture(open_gpu(gpu))
    if here in facts.gpu_architectures and facts.tensorrt_rtx_version == tensorrt_rtx.__version__:
        return None
    return (
        f"was built for {', '.join(facts.gpu_architectures)} with TensorRT for RTX {facts.tensorrt_rtx_version}; "
        f"this machine is {here} with {tensorrt_rtx.__version__}"
    )


def rebuild_command(spec: EngineSpec) -> str:
    return f"ugatit-fast build-engine {rebuild_options(spec)}"


def rebuild_options(spec: EngineSpec) -> str:
    """What makes build-engine build such an engine again."""
    options = [
        f"CHECKPOINT --backend {spec.kind}",
        f"--precision {spec.precision}",
        f"--direction {spec.direction}",
        *([f"--batch {','.join(map(str, spec.batch_sizes))}"] if spec.batch_sizes else []),
        f"--size {spec.height}x{spec.width}",
        *(["--heatmap"] if spec.heatmap else []),
        *(["--dynamic-batch"] if spec.tensorrt and spec.tensorrt.dynamic_batch else []),
    ]
    return " ".join(options)
