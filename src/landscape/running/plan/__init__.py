"""What an experiment will take, before anything is run: jobs, operations, disk; and which figures fit a budget."""

from landscape.running.plan.report import text, values

__all__ = ["text", "values"]
