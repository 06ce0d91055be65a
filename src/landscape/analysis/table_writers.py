"""Write tables as CSV, Markdown, LaTeX (booktabs) and HTML."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from landscape.store import files


@dataclass(frozen=True)
class TablePage:
    """A table with a title and a note below it.

    Attributes:
        rows: all columns, for the CSV; numbers are numbers.
        shown: the cells' text in the columns that fit on a page.
    """

    title: str
    rows: pd.DataFrame
    shown: pd.DataFrame
    note: str


def write(title: str, tables: Sequence[TablePage], paths: Sequence[Path]) -> None:
    """Write all tables to one Markdown, one LaTeX and one HTML file, and the first ones each to a CSV of its own.

    Args:
        paths: the first CSV, Markdown, LaTeX, HTML, the further CSVs.
    """
    csv, markdown, latex, page, *further = paths
    for table, path in zip(tables, [csv, *further], strict=False):
        files.write_text(path, table.rows.to_csv(index=False, lineterminator="\n"))
    full = [table for table in tables if len(table.rows)]
    files.write_text(markdown, "\n".join(_markdown(table) for table in full))
    files.write_text(latex, "\n".join(_latex(table) for table in full))
    write_page(page, title, "\n".join(_html(table) for table in full))


def write_page(path: Path, title: str, body: str) -> None:
    """Write an HTML page in the style of the report."""
    files.write_text(path, _PAGE.format(title=html.escape(title), body=body))


def _markdown(table: TablePage) -> str:
    return f"## {table.title}\n\n{table.shown.to_markdown(index=False, disable_numparse=True)}\n\n{table.note}\n"


def _html(table: TablePage) -> str:
    body = table.shown.to_html(index=False, border=0)
    return f"<h2>{html.escape(table.title)}</h2>\n{body}\n<p>{html.escape(table.note)}</p>"


def _latex(table: TablePage) -> str:
    """Write a booktabs table, to be put into a table environment."""
    style = table.shown.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    body = style.to_latex(hrules=True, column_format="l" * len(table.shown.columns))
    return f"% {table.title}; needs \\usepackage{{booktabs}}\n% {table.note}\n{body}"


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px sans-serif; margin: 1em; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: 0.3em 0.7em; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top; }}
th {{ border-bottom: 2px solid #444; }}
td {{ font-variant-numeric: tabular-nums; }}
</style></head><body>
{body}
</body></html>
"""
