"""Choose the device, and fix every setting of torch that alters bits."""

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator

import torch

from landscape.errors import InputError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT, _SMALL = 2**30, 2**28  # bytes


def settle(threads: int = 1) -> torch.device:
    """Fix all settings that alter bits, and return the device: LANDSCAPE_DEVICE, else CUDA if there is one, else the CPU.

    The settings are the number of threads and, on CUDA, full fp32 (cuDNN's default is TF32) and deterministic kernels.

    Raises:
        InputError: if this machine has no device LANDSCAPE_DEVICE.
    """
    _keep_freed_memory()
    torch.set_num_threads(threads)
    _allow_tensor_floats(False, False)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    gpus = [f"cuda:{k}" for k in range(torch.cuda.device_count())]
    wanted = os.environ.get("LANDSCAPE_DEVICE") or ("cuda" if gpus else "cpu")
    if wanted not in ("cpu", *gpus) and not (wanted == "cuda" and gpus):
        raise InputError(f"LANDSCAPE_DEVICE is {wanted!r}; this machine has {', '.join(['cpu', *gpus])}")
    device = torch.device(wanted)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # CUDA uses the current device for streams and graphs
    return device


@contextlib.contextmanager
def settled(threads: int = 1) -> Iterator[None]:
    """`settle` inside the block, and restore the user's settings after it."""
    cudnn = torch.backends.cudnn
    before = torch.get_num_threads(), cudnn.deterministic, cudnn.benchmark
    floats = torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32
    settle(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cudnn.deterministic, cudnn.benchmark = before[1:]
        _allow_tensor_floats(*floats)


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory for the activations of the next batch, up to `_KEPT` bytes.

    Otherwise the system maps every page anew: 8 to 15 % of the time of a training of ResNet-20 on the CPU, and 5 % of a
    product with its Hessian (measured). glibc still returns blocks larger than `_SMALL`.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_M_MMAP_THRESHOLD, _SMALL)


@contextlib.contextmanager
def tensor_floats(on: bool) -> Iterator[None]:
    """Allow or forbid TF32 on CUDA inside the block. A CUDA graph recorded here keeps the setting."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    _allow_tensor_floats(on, on)
    try:
        yield
    finally:
        _allow_tensor_floats(*before)


def _allow_tensor_floats(products: bool, convolutions: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = products
    torch.backends.cudnn.allow_tf32 = convolutions


def kind(device: torch.device) -> str:
    """Kind of device on which an interrupted training may go on: `cuda`, or `cpu` with its vector instructions."""
    return device.type if device.type != "cpu" else f"cpu {torch.backends.cpu.get_cpu_capability()}"


def name(device: torch.device | str) -> str:
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
