"""Choose the device, and fix every setting of torch that alters bits."""

import contextlib
import ctypes
import functools
import os
import platform
from collections.abc import Callable, Iterator
from typing import Any

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
    _settle_bits(threads)
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
    """Settle what alters bits in a process that is the user's, and put all of it back at the end.

    Gradients are recorded meanwhile and nothing is cast to another type, whatever context the caller is in.
    """
    cudnn = torch.backends.cudnn
    before = torch.get_num_threads(), cudnn.deterministic, cudnn.benchmark
    with contextlib.ExitStack() as contexts:
        contexts.enter_context(_full_floats())
        contexts.enter_context(torch.inference_mode(False))
        contexts.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            contexts.enter_context(torch.autocast(kind, enabled=False))
        _settle_bits(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            cudnn.deterministic, cudnn.benchmark = before[1:]


def _settle_bits(threads: int) -> None:
    _keep_freed_memory()
    torch.set_num_threads(threads)
    _allow_tensor_floats(False, False)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


@contextlib.contextmanager
def _full_floats() -> Iterator[None]:
    """Compute in full float32 meanwhile, on every device.

    torch has an older and a newer way to say so, which one process may mix; a value that the newer one set cannot always
    be read in the older one, and setting one that covers others sets those too. Hence the order.
    """
    backends: Any = torch.backends
    newer = [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
    newer += [backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn]
    every, each = backends.fp32_precision, [one.fp32_precision for one in newer]
    products = _if_readable(torch.get_float32_matmul_precision)
    older = [backends.cuda.matmul, backends.cudnn]
    floats = [_if_readable(functools.partial(getattr, of, "allow_tf32")) for of in older]
    if every != "none":
        backends.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    _allow_tensor_floats(False, False)
    for one in newer:
        if one.fp32_precision not in ("none", "ieee"):
            one.fp32_precision = "ieee"
    try:
        yield
    finally:
        if every != "none":
            backends.fp32_precision = every
        if products is not None:
            torch.set_float32_matmul_precision(products)
        for of, value in zip(older, floats, strict=True):
            if value is not None and _if_readable(functools.partial(getattr, of, "allow_tf32")) != value:
                of.allow_tf32 = value
        for one, precision in zip(newer, each, strict=True):
            if one.fp32_precision != precision:
                one.fp32_precision = precision


def _if_readable(setting: Callable[[], Any]) -> Any:
    try:
        return setting()
    except RuntimeError:
        return None


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
