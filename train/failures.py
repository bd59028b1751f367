"""What stops a training run, as one line that says what to do next."""

from dataclasses import replace

import torch

from ugatit_fast.train.settings import TrainSettings
from ugatit_fast.train.step import Networks, parameters_of

FLOAT32_BYTES = 4
COPIES = 4
"""Float32 values kept of each trained weight: itself, its gradient, and the optimiser's two moments."""


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU, or PyTorch's allocator on the CPU, had no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def memory_advice(settings: TrainSettings, available_bytes: int | None) -> str:
    """What the run needed memory for, and which settings would need how much less."""
    kind = "light" if settings.light else "full"
    limit = "" if available_bytes is None else f" of {in_gb(available_bytes)}"
    options = []
    if settings.batch_size > 1:
        options.append(f"--batch-size {settings.batch_size // 2} (activations to about a half)")
    if settings.precision == "fp32":
        options.append("--precision bf16 (activations to about a half)")
    if not settings.recompute:
        options.append("--recompute (activations of the residual blocks to about a fifth)")
    if not settings.light:
        options.append(f"--light (weights {in_gb(state_bytes(replace(settings, light=True)))})")
    if settings.ch > 1:
        half = replace(settings, ch=settings.ch // 2)
        options.append(f"--ch {half.ch} (weights {in_gb(state_bytes(half))}, activations to about a half)")
    return (
        f"out of memory{limit} with a {kind} generator, ch {settings.ch}, {settings.img_size} pixels and batch "
        f"{settings.batch_size}: weights, gradients and optimisers take {in_gb(state_bytes(settings))}, activations "
        f"the rest; what would help: {'; '.join(options)}"
    )


def state_bytes(settings: TrainSettings) -> int:
    """Memory of weights, gradients, optimisers and averaged weights."""
    with torch.device("meta"):
        networks = Networks(settings)
    trained = sum(parameter.numel() for parameter in parameters_of([networks]))
    averaged = sum(parameter.numel() for parameter in parameters_of(networks.generators())) if settings.ema else 0
    return FLOAT32_BYTES * (COPIES * trained + averaged)


def in_gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
