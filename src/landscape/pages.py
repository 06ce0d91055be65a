"""A table in the four forms it is read in: CSV, Markdown, LaTeX (booktabs), and a page for the report."""

import html
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from landscape import files


def write(rows: pd.DataFrame, shown: pd.DataFrame, title: str, note: str, paths: Sequence[Path]) -> None:
    """Write a table.

    Args:
        rows: every column, numbers as numbers: the CSV.
        shown: the text of each cell, of the columns that fit on a page: the other three.
        note: a paragraph below the table.
        paths: of the CSV, the Markdown, the LaTeX and the HTML file.
    """
    csv, markdown, tex, page = paths
    files.write_text(csv, rows.to_csv(index=False, lineterminator="\n"))
    files.write_text(markdown, f"{shown.to_markdown(index=False, disable_numparse=True)}\n\n{note}\n")
    files.write_text(tex, latex(shown, note))
    table = shown.to_html(index=False, border=0)
    files.write_text(page, _PAGE.format(title=html.escape(title), body=f"{table}\n<p>{html.escape(note)}</p>"))


def write_page(path: Path, title: str, body: str) -> None:
    """An HTML page with the body given, in the report's looks."""
    files.write_text(path, _PAGE.format(title=html.escape(title), body=body))


def latex(shown: pd.DataFrame, note: str) -> str:
    """A booktabs table, to be put into a table environment: \\input{summary.tex}."""
    lines = [" & ".join(map(_escaped, row)) + r" \\" for row in [list(shown.columns), *shown.values.tolist()]]
    columns = "l" * len(shown.columns)
    body = "\n".join([lines[0], r"\midrule", *lines[1:]])
    comment = f"% needs \\usepackage{{booktabs}}\n% {note}\n"
    return f"{comment}\\begin{{tabular}}{{{columns}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"


_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    c: f"\\{c}" for c in "&%$#_{}"
}


def _escaped(cell: object) -> str:
    return "".join(_SPECIAL.get(character, character) for character in str(cell))


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
