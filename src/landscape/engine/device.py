"""The device a verb computes on, with everything settled that alters bits, and the memory it keeps."""

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
    """The device, after everything that alters bits is settled, so that it depends on the specification alone.

    That is the number of threads; and on CUDA full fp32, which cuDNN else replaces by TF32, and kernels that repeat
    themselves. The device is LANDSCAPE_DEVICE, or CUDA where there is one, or the CPU.

    Raises:
        InputError: if LANDSCAPE_DEVICE is not there.
    """
    _keep_freed_memory()
    torch.set_num_threads(threads)
    _allow_tensor_floats(False, False)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    gpus = [f"cuda:{k}" for k in range(torch.cuda.device_count())]
    wanted = os.environ.get("LANDSCAPE_DEVICE") or ("cuda" if gpus else "cpu")
    if wanted not in ("cpu", *gpus) and not (wanted == "cuda" and gpus):
        raise InputError(f"LANDSCAPE_DEVICE is {wanted!r}; here there are {', '.join(['cpu', *gpus])}")
    device = torch.device(wanted)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # streams and graphs belong to the current one
    return device


@contextlib.contextmanager
def settled(threads: int = 1) -> Iterator[None]:
    """`settle`, and at the end everything as it was: for a computation in a process that is the user's."""
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
    """Let glibc keep what one batch freed for the next one's activations.

    Else it returns them to the system, and the first touch of every page of the next ones costs 8 to 15 % of a training of
    ResNet-20 on the CPU and 5 % of a product with its Hessian (measured). What is larger than `_SMALL` is returned as ever.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_M_MMAP_THRESHOLD, _SMALL)


@contextlib.contextmanager
def tensor_floats(on: bool) -> Iterator[None]:
    """Let CUDA round the factors of products to TF32 meanwhile, or not; a CUDA graph recorded here keeps that."""
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
    """What an interrupted training may go on upon: any GPU, or a CPU with the same vector instructions."""
    return device.type if device.type != "cpu" else f"cpu {torch.backends.cpu.get_cpu_capability()}"


def name(device: torch.device | str) -> str:
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
