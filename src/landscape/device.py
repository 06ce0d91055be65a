"""The device a verb computes on, with everything settled that alters bits."""

import contextlib
import os
import platform
from collections.abc import Iterator

import torch

from landscape.errors import InputError


def settle(threads: int = 1) -> torch.device:
    """The device, after everything that alters bits is settled, so that it depends on the specification alone.

    That is the number of threads; and on CUDA full fp32, which cuDNN else replaces by TF32, and kernels that repeat
    themselves. The device is LANDSCAPE_DEVICE, or CUDA where there is one, or the CPU.

    Raises:
        InputError: if LANDSCAPE_DEVICE is not there.
    """
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
