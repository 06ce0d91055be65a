"""Snakemake's logger plugin `landscape`: a bar for each kind of job. Snakemake finds it by the name of this package.

Snakemake imports it at every start, even without `--logger landscape`, so it imports little.
"""

from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    """Hands Snakemake's log records to `landscape.running.job_bars`."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        from landscape.running.job_bars import JobBars

        self._bars = JobBars()

    def emit(self, record: LogRecord) -> None:
        try:
            self._bars.take(record, self.format)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._bars.close()
        super().close()
