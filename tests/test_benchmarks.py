"""What `make bench` finds is kept beside what it found elsewhere."""

import math

import pytest

from benchmarks.__main__ import kept
from benchmarks.contenders import Case
from benchmarks.curvature import Ours

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


def test_a_point_of_curvature_can_be_stopped_early() -> None:
    ours = Ours(Case("ResNet-20", 4), (0.0, 0.0))
    largest, smallest, products = ours.point()
    late = ours.after(math.inf)
    assert late[:2] == pytest.approx((largest, smallest), rel=1e-3)
    assert late[2] == products
    at = [seconds for seconds, _, _ in ours._steps]
    early = ours.after(at[2])
    assert early[2] == 3
    assert smallest < early[1] < early[0] < largest
    assert math.isnan(ours.after(0.0)[0])
