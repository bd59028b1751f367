"""What the NVIDIA driver says about itself, asked without any library of CUDA."""

import ctypes
import sys

from ugatit_fast.backends.gpu_parts import GpuError

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
"""The driver's own library: it comes with the driver and nothing else."""
NO_DEVICE = 100
"""What it says, by number, where there is no GPU."""


def gpus_of_driver() -> int:
    """How many GPUs it gives this process; CUDA_VISIBLE_DEVICES may leave some out. Raises GpuError where it can't."""
    try:
        driver = ctypes.CDLL(LIBRARY)
        begin, ask = driver.cuInit, driver.cuDeviceGetCount
    except (OSError, AttributeError) as error:
        raise GpuError(f"the NVIDIA driver can't be asked for its GPUs ({error}); install the driver") from error
    number = ctypes.c_int()
    status = begin(0) or ask(ctypes.byref(number))
    if status not in (0, NO_DEVICE):
        raise GpuError(f"the NVIDIA driver doesn't tell its GPUs (CUDA error {status}); install the driver again")
    return number.value


def newest_cuda_of_driver() -> tuple[int, int]:
    """The newest CUDA version that the driver knows, as (13, 0). Raises GpuError where there is none to ask."""
    try:
        ask = ctypes.CDLL(LIBRARY).cuDriverGetVersion
    except (OSError, AttributeError) as error:
        raise GpuError(f"the NVIDIA driver can't be asked for its version ({error}); install the driver") from error
    number = ctypes.c_int()
    status = ask(ctypes.byref(number))
    if status != 0:
        raise GpuError(f"the NVIDIA driver doesn't tell its version (CUDA error {status}); install the driver again")
    return number.value // 1000, number.value % 1000 // 10
