"""Images of Pillow as one array."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from landscape.errors import InputError
from landscape.progress import progress

GREY = {"1", "L", "LA"}
"""Modes of Pillow without colour."""


def stacked(images: Iterable[Image.Image], count: int, what: str) -> np.ndarray:
    """Stack images, uint8 (n, height, width), or (n, height, width, 3) in RGB if the first has a colour.

    Args:
        what: their place in errors.

    Raises:
        InputError: if they are no images, of several sizes, or of more than 8 bits.
    """
    found: np.ndarray | None = None
    mode = size = None
    for k, image in enumerate(progress(images, count, "images")):
        if not isinstance(image, Image.Image):
            raise InputError(f"{what} has a {type(image).__name__} at {k}; it must be an image of Pillow")
        if image.mode.startswith(("I", "F")):
            raise InputError(f"{what} has an image of more than 8 bits at {k} (mode {image.mode}); convert it")
        if found is None:
            mode, size = ("L" if image.mode in GREY else "RGB"), image.size
            channels = () if mode == "L" else (3,)
            found = np.empty((count, image.height, image.width, *channels), np.uint8)
        if image.size != size:
            raise InputError(
                f"{what} has images of several sizes: {found.shape[1]} x {found.shape[2]} at 0, "
                f"{image.height} x {image.width} at {k}; resize them first"
            )
        found[k] = np.array(image.convert(mode))
    if found is None:
        raise InputError(f"{what} is empty")
    return found
