"""The interval of a test error."""

from landscape.lazy import scipy


def wilson(errors: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of an error rate of `errors` in `n` (Wilson 1927).

    Raises:
        ValueError: unless 0 <= errors <= n and n >= 1.
    """
    if n < 1 or not 0 <= errors <= n:
        raise ValueError(f"{errors} errors of {n}: it must be 0 <= errors <= n, with n at least 1")
    low, high = scipy.stats.binomtest(errors, n).proportion_ci(method="wilson")
    return float(low), float(high)
