"""What `make bench` finds is kept beside what it found elsewhere."""

from benchmarks.__main__ import kept

README = "# Benchmarks\n\nHow.\n\n## Surfaces, A\n\n### Table\n\nold\n\n## GPU, not measured\n\nNone.\n\n## Scale, A\n\nold\n"


def headings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("## ")]


def test_the_same_processors_part_is_replaced() -> None:
    found = kept(README, "Surfaces, A", "## Surfaces, A\n\nnew\n\n")
    assert found == README.replace("### Table\n\nold\n", "new\n")
    assert kept(found, "Surfaces, A", "## Surfaces, A\n\nnew\n\n") == found


def test_another_processors_part_comes_after_it() -> None:
    found = kept(README, "Surfaces, A B", "## Surfaces, A B\n\nnew\n\n")
    assert headings(found) == ["## Surfaces, A", "## Surfaces, A B", "## GPU, not measured", "## Scale, A"]
    assert found.replace("## Surfaces, A B\n\nnew\n\n", "") == README


def test_what_was_not_measured_goes_once_it_is() -> None:
    assert headings(kept(README, "GPU, G", "## GPU, G\n\nnew\n\n")) == ["## Surfaces, A", "## Scale, A", "## GPU, G"]
