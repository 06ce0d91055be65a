"""Python runs this before all else where this folder is in PYTHONPATH.

Snakemake's plugin asks SLURM for the states of its jobs ever more rarely, up to once in three minutes: here every second.
"""

import sys

if sys.orig_argv[1:3] == ["-m", "snakemake"] and "slurm" in sys.orig_argv:
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor  # type: ignore[import-untyped]

    RemoteExecutor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None)
