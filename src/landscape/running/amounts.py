"""Amounts in words."""

import math


def number(value: float) -> str:
    """Write a number in three digits, or all its digits before the point."""
    if 0 < value < 0.01:
        return "<0.01"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def scaled(value: float, unit: str) -> str:
    """Write a value with a prefix from k (1e3) to P (1e15)."""
    power = min(5, max(0, math.floor(math.log10(value)) // 3)) if value else 0
    return f"{number(value / 1000**power)} {' kMGTP'[power].strip()}{unit}"
