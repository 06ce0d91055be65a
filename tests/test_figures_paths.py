"""Figures of paths, rings and sharpness, and places marked on a plane, by their structure; never by their pixels."""

import pytest

from landscape.figures import words

from members import member


def test_planes_through_places_and_along_paths_say_their_unit() -> None:
    through = member("net", directions="through", runs=["other", "third"]).seen
    assert words.axis(through, "beta") == "beta (1 = the distance to other)"
    assert words.units(through) == "alpha, beta: 1 = the distance to other"
    assert words.unit(member("net", directions="pca").seen) == "1 = the path's largest coordinate"
    start = member("net", directions="start").seen
    assert words.units(start) == "alpha: 0 = the run, 1 = its initial weights; beta: 1 = 100 % of each filter's norm"


@pytest.mark.parametrize(
    ("plane", "said"),
    [
        ({"directions": "through", "runs": ["a", "b"]}, "goes through the run, a and b; its axes are orthogonal"),
        ({"directions": "through", "runs": ["a"]}, "a lies at (1, 0); beta is random (seed 1)."),
        ({"directions": "through", "runs": ["a"], "beta": None}, "The line goes through the run and a"),
        ({"directions": "pca"}, "taken as differences to its end and centred"),
        ({"directions": "pca", "centred": False}, "and not centred"),
        ({"directions": "start"}, "own initial weights, beta is a random Gaussian one (seed 1), every filter"),
        ({"directions": "start", "beta": None}, "alpha leads to the run's own initial weights."),
    ],
)
def test_captions_say_how_a_plane_was_laid(plane: dict[str, object], said: str) -> None:
    assert said in words.surface_made([member("net", **plane)])[0]
