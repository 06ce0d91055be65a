"""Snakemake's logger plugin `landscape`: a bar for each kind of job. Snakemake finds it by the name of this package.

Snakemake imports it at every start, even without `--logger landscape`, so it imports little.
"""

import sys
from logging import Handler, LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    """Hands Snakemake's log records to `landscape.running.job_bars`; a dry run gets Snakemake's own text."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        from landscape.running.job_bars import JobBars

        Handler.__init__(self)  # interfaces before 2.0 do not
        self._bars = JobBars()

    def emit(self, record: LogRecord) -> None:
        try:
            if self.common_settings.dryrun:
                sys.stdout.write(f"{text}\n" if (text := self.format(record)) not in ("", "None") else "")
            else:
                self._bars.take(record, self.format)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._bars.close()
        super().close()
