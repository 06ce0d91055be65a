"""The interval of a test error."""

import math


def wilson(errors: int, n: int) -> tuple[float, float]:
    """The 95 % interval of an error rate, from `errors` wrong of `n` (Wilson 1927).

    (p + z^2 / 2n  +-  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)  with p = errors / n, z = 1.96.

    Raises:
        ValueError: unless 0 <= errors <= n and n >= 1.
    """
    if n < 1 or not 0 <= errors <= n:
        raise ValueError(f"{errors} errors of {n}: it must be 0 <= errors <= n, with n at least 1")
    z = 1.959963984540054
    p = errors / n
    middle = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return max(0.0, min(p, (middle - half) / scale)), min(
        1.0, max(p, (middle + half) / scale)
    )  # but for rounding, p lies inside
