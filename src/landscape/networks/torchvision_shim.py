"""Import a torchvision built for CUDA beside a torch that was not.

The import fails because the schemas of two operators are missing. Once these are declared, data sets, models and transforms
work.
"""

import contextlib
import functools
import re
from collections.abc import Callable
from typing import TypeVar

from torch import library

Loaded = TypeVar("Loaded")

_MISSING = re.compile(r"operator torchvision::q?nms does not exist")


def with_torchvision(load: Callable[[], Loaded]) -> Loaded:
    """Call `load`; if its import of torchvision fails for lack of the operators, declare them and call it again."""
    try:
        return load()
    except RuntimeError as error:
        if not _MISSING.search(str(error)):
            raise
    _declare_operators()
    return load()


@functools.cache  # the declarations last as long as the Library object
def _declare_operators() -> library.Library:
    fragment = library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):  # declared by someone else
            fragment.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return fragment
