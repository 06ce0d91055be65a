"""Values in words: losses, scores, errors with their intervals."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from landscape import geometry
from landscape.lazy import xr
from landscape.objective import meanings

HOLD = "\N{NO-BREAK SPACE}"


def loss(value: float) -> str:
    """Write a loss in two digits: 0.0021, 0.19, 2.3, 140; or `not finite`."""
    if not math.isfinite(value):
        return "not finite"
    if value >= 10:
        return f"{float(f'{value:.2g}'):,.0f}"
    return f"{value:.2g}" if value >= 1e-4 or value == 0 else re.sub(r"e-0?", "e-", f"{value:.1e}")


def number(value: float) -> str:
    """Write three digits with a true minus sign: -0.0123, 845, 3,480, 1.2e-6."""
    text = f"{float(f'{value:.3g}'):,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    return minus(re.sub(r"e([+-])0*", r"e\1", text).replace("e+", "e"))


def minus(text: str) -> str:
    """Replace hyphens by true minus signs."""
    return text.replace("-", "\N{MINUS SIGN}")


def error_of(accuracy: float, examples: int) -> str:
    """Write an error rate with its Wilson interval: `6.12 % (5.67 to 6.61)`."""
    wrong = round((1 - accuracy) * examples)
    digits = 2 if examples >= 5000 else 1
    low, high = geometry.wilson(wrong, examples)
    return f"{100 * wrong / examples:.{digits}f}_% ({100 * low:.{digits}f}_to_{100 * high:.{digits}f})".replace(
        "_", HOLD
    )


def tested(attrs: Mapping[str, Any], row: xr.Dataset) -> list[str]:
    """Write `test error 6.12 % (5.67 to 6.61)`, or another score; without a score, the test loss; empty if not measured."""
    name, value = outcome(attrs, row) or ("", "")
    return [f"test {name} {value}"] if name else []


def outcome(attrs: Mapping[str, Any], row: xr.Dataset) -> tuple[str, str] | None:
    """Name what a network is judged by on the test split, and write its value; None if it was not measured.

    Args:
        attrs: of the file that the row is from.
        row: an epoch of a history, or a point of a surface.
    """
    score = meanings.score_in(attrs)
    variable = f"test_{score or 'loss'}"
    if variable not in row:
        return None
    value = float(row[variable])
    if score != "accuracy":
        return (meanings.score_word(score), number(value)) if score else ("loss", loss(value))
    if meanings.counts_examples(attrs):
        return "error", error_of(value, int(attrs["test_examples"]))
    return "error", f"{100 * (1 - value):.1f}{HOLD}%"
