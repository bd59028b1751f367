"""Several processes on one batch, as torchrun starts them: each takes its share of it, gradients are averaged."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from ugatit_fast.choices import Device
from ugatit_fast.errors import BackendUnavailable, InputError


@dataclass(frozen=True)
class Worker:
    """This process among those of the run."""

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0


@contextmanager
def joined(device: Device, batch_size: int) -> Iterator[Worker]:
    """Join the processes that torchrun started, if it did; leave them at the end.

    Raises BackendUnavailable without the GPU that was asked for, InputError where the batch can't be shared out evenly.
    """
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if batch_size % count:
        raise InputError(f"batch_size {batch_size} can't be shared by {count} processes; make it a multiple")
    chosen = chosen_device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
        torch.backends.cudnn.benchmark = True  # shapes never change, so the search pays
    if count == 1:
        yield Worker(0, 1, chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Worker(rank, count, chosen)
    finally:
        dist.destroy_process_group()


def chosen_device(device: Device) -> torch.device:
    """This process's GPU, or the CPU where there is none or it was asked for. Raises BackendUnavailable."""
    if device == "cuda" and not torch.cuda.is_available():
        raise BackendUnavailable("no NVIDIA GPU that this torch can use; see ugatit-fast doctor, or take --device cpu")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace each gradient by its mean over all processes: the gradient of the joint batch, since losses are means."""
    if not dist.is_initialized():
        return
    for parameter in parameters:
        if parameter.grad is not None:
            joint = parameter.grad.contiguous()  # the layout that every communication library takes
            dist.all_reduce(joint)
            parameter.grad.copy_(joint / dist.get_world_size())


def any_of_us(flag: bool, device: torch.device) -> bool:
    """Whether `flag` is set in any process: all have to stop at the same step."""
    if not dist.is_initialized():
        return flag
    joint = torch.tensor(float(flag), device=device)
    dist.all_reduce(joint, op=dist.ReduceOp.MAX)
    return bool(joint.item())


def mean_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The mean of each value over all processes."""
    if dist.is_initialized():
        values = values.clone()
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return values
