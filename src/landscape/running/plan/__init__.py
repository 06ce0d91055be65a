"""Estimate jobs, operations and disk of an experiment before running it, and choose figures that fit a budget."""

from landscape.running.plan.report import text, values

__all__ = ["text", "values"]
