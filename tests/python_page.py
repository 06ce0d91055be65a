"""The blocks of docs/python.md: code, and what it prints. `python tests/python_page.py` writes what they print into the page."""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/python.md"
_BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:```text\n(?P<shown>.*?)```\n)?", re.S)


def blocks() -> list[tuple[str, str]]:
    """Code, and what is shown below it."""
    return [(found["code"], found["shown"] or "") for found in _BLOCK.finditer(PAGE.read_text())]


def printed(codes: list[str]) -> Iterator[str]:
    """What each piece of code prints, all in one namespace and in the current folder."""
    names: dict[str, object] = {"__name__": "page"}
    for k, code in enumerate(codes, 1):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(compile(code, f"block {k} of {PAGE.name}", "exec"), names)
        yield said.getvalue()


def main() -> None:
    import os
    import tempfile

    text = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        said = printed([code for code, _ in blocks()])

        def filled(found: re.Match[str]) -> str:
            out = next(said)
            return f"```python\n{found['code']}```\n" + (f"```text\n{out}```\n" if out else "")

        text = _BLOCK.sub(filled, text)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
