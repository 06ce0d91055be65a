"""What is claimed of curvature and gradients is judged on surfaces whose answer is known."""

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from test_claims import history, judged

from landscape.analysis import claims
from landscape.analysis.claims.evidence import Evidence
from landscape.analysis.claims.negative_curvature import convex_regions
from landscape.errors import InputError
from landscape.experiment import needs, reading
from landscape.experiment.analysis_sections import Claims
from landscape.training.seed_groups import JudgedRun

from curved_surfaces import Loss, chaotic, curved, double_well, valley

GRID: dict[str, Any] = {"alpha": (-1, 1, 9), "beta": (-1, 1, 9)}
NAMED = {"curvature": ["contour", "again"], "gradients": ["contour", "again"]}


def deep(name: str, **more: Any) -> xr.Dataset:
    return history(name, args={"depth": 56, "shortcut": False}, **more)


def seen(run: str, loss: Loss = valley, **more: Any) -> xr.Dataset:
    return curved(run, loss, **GRID, **more).seen


def _twin(run: xr.Dataset) -> xr.Dataset:
    return run.assign_attrs(name=f"{run.attrs['name']}-2", spec=json.dumps(json.loads(run.attrs["spec"]) | {"seed": 1}))


def _four(surface: xr.Dataset) -> list[xr.Dataset]:
    runs = [surface.attrs["run"], f"{surface.attrs['run']}-2"]
    return [surface.assign_attrs(run=run, plane=plane) for run in runs for plane in ("contour", "again")]


def found(number: str, *runs: xr.Dataset, surfaces: list[xr.Dataset], **spec: Any) -> claims.Judgement:
    """Judge networks of two equal seeds, each with two equal planes, so that no error hides what is decided."""
    histories = [each for run in runs for each in (run, _twin(run))]
    return judged(number, *histories, surfaces=[again for each in surfaces for again in _four(each)], spec=NAMED | spec)


def test_where_it_looks_convex_negative_curvature_is_insignificant_or_not() -> None:
    flat, bent = seen("a", negative=0.003), seen("a", negative=0.03)  # lambda_max is 0.3
    one = found("5", history("a"), surfaces=[flat])
    assert one.verdict == "reproduced" and one.because.startswith("1 of 1 case; a (2 seeds): a share of 1 (se 0) of")
    assert "; of 0 (se 0) at most 1 % of lambda_max" in one.because  # 1 % and its residual are more than 1 %
    assert found("5", history("a"), surfaces=[bent]).verdict == "not reproduced"
    assert found("5", history("a"), surfaces=[bent], insignificant=0.11).verdict == "reproduced"


def test_a_share_within_its_error_of_the_limit_is_undecided_and_one_plane_is_one_sample() -> None:
    flat, bent = seen("a", negative=0.003), seen("a", negative=0.03)
    mixed = [*_four(flat)[:3], _four(bent)[3]]
    histories = [history("a"), _twin(history("a"))]
    assert judged("5", *histories, surfaces=mixed, spec=NAMED).verdict == "undecided"
    assert judged("5", history("a"), surfaces=[flat], spec=NAMED).verdict == "one sample"


def test_the_residual_counts_against_the_claim() -> None:
    surface = seen("a", negative=0.0145)
    assert found("5", history("a"), surfaces=[surface]).verdict == "reproduced"
    unsure = surface.assign(residual_min=surface.residual_min + 0.001)
    assert found("5", history("a"), surfaces=[unsure]).verdict == "not reproduced"


def test_only_what_looks_convex_around_the_minimiser_counts() -> None:
    surface = seen("a", double_well, negative=0.003)
    hollow = abs(surface.alpha) < 0.28  # between the wells; the centre is below ln(10)
    far = surface.train_loss > np.log(10)
    elsewhere = surface.assign(eigenvalue_min=surface.eigenvalue_min.where(~(hollow | far), -9.0))
    assert found("5", history("a"), surfaces=[elsewhere]).verdict == "reproduced"
    within = surface.assign(eigenvalue_min=surface.eigenvalue_min.where(hollow, -9.0))
    assert found("5", history("a"), surfaces=[within]).verdict == "not reproduced"


def test_shares_are_means_over_directions_and_then_seeds() -> None:
    spec = Claims.model_validate({"curvature": ["p", "q"], "most": 0.7})
    surfaces = {"p": seen("a", negative=0.003), "q": seen("a", negative=0.03)}
    runs = (
        JudgedRun(history("a", seed=0), surfaces),
        JudgedRun(history("b", seed=1), {"p": seen("b", negative=0.003)}),
    )
    (one,) = convex_regions(Evidence(spec, {}, runs))
    assert one.verdict == "undecided" and "a (2 seeds): a share of 0.75 (se " in one.because
    (first,) = convex_regions(Evidence(spec, {}, runs[:1]))
    assert first.verdict == "one sample" and "a: a share of 0.5 of" in first.because


def test_the_drift_with_more_images_is_told() -> None:
    assert "(at 4 points a median of 0.01 on 256 examples, 0.0087 on 1,024)" in (
        found("5", history("a"), surfaces=[seen("a", negative=0.003)]).because
    )
    alone = seen("a").assign_attrs(
        drift='[{"examples": [256, 512], "eigenvalue_min": [-1, null], "eigenvalue_max": [2, null]}]'
    )
    assert "examples" not in found("5", history("a"), surfaces=[alone]).because


def test_negative_curvature_is_large_where_it_does_not_look_convex_or_not() -> None:
    one = found("10", history("a"), surfaces=[seen("a", chaotic, negative=0.001)])
    assert one.verdict == "reproduced" and "where it looks convex" in one.because
    stiff = seen("a", chaotic, sharp=100.0)
    assert found("10", history("a"), surfaces=[stiff]).verdict == "not reproduced"
    everywhere = seen("a", chaotic, negative=3.0)
    assert found("10", history("a"), surfaces=[everywhere]).verdict == "undecided"  # the same where it looks convex
    bowl = found("10", history("a"), surfaces=[seen("a", lambda a, b: a**2 + b**2)])
    assert bowl.verdict == "not tested" and "fewer than 6 points do not look convex" in bowl.because


def test_the_descent_points_away_in_deep_networks_without_shortcuts_or_not() -> None:
    def away(share: float, run: str = "deep") -> xr.Dataset:
        surface = seen(run)
        towards = np.where(np.arange(81).reshape(9, 9) < share * 81, -0.5, 0.5)
        return surface.assign(gradient_towards_centre=(("alpha", "beta"), towards))

    assert found("12", deep("deep"), surfaces=[away(0.4)]).verdict == "reproduced"
    assert found("12", deep("deep"), surfaces=[away(0.1)]).verdict == "not reproduced"
    assert found("12", deep("deep"), surfaces=[away(0.1)], away=0.05).verdict == "reproduced"
    shortcut = history("short", args={"depth": 56})
    both = found("12", deep("deep"), shortcut, surfaces=[away(0.4), away(0.0, "short")])
    assert "1 of 1 case" in both.because and "(short (2 seeds) with shortcuts 0 (se 0))" in both.because
    assert found("12", shortcut, surfaces=[away(0.4, "short")]).verdict == "not tested"


@pytest.mark.parametrize("number", ["5", "10", "12"])
def test_what_did_not_train_is_confounded_and_what_was_not_measured_not_tested(number: str) -> None:
    untrained = found(number, deep("a", train_loss=2.2), surfaces=[seen("a", chaotic)])
    assert untrained.verdict == "confounded" and "a, a-2 did not train" in untrained.because
    assert found(number, deep("a"), surfaces=[]).verdict == "not tested"
    unnamed = judged(number, deep("a"), surfaces=[seen("a", chaotic)])
    assert unnamed.verdict == "not tested" and "needs planes with measure" in unnamed.because


def experiment(**stated: Any) -> dict[str, Any]:
    return {
        "data": {"digits": {"source": "digits"}},
        "runs": {name: {"network": "resnet20", "data": "digits", "epochs": 1} for name in ("a", "b")},
        "planes": {
            "loss": {"beta": [-1, 1, 5]},
            "map": {"beta": [-1, 1, 5], "measure": "curvature"},
            "steep": {"beta": [-1, 1, 5], "measure": "gradients"},
        },
        "claims": stated,
    }


def test_the_planes_of_these_claims_are_asked_for() -> None:
    """As far as figures show them: a map of curvature is too dear to be made of every run."""
    content = experiment(curvature="m*", gradients=["map", "steep"])
    assert needs.surfaces_of_claims(reading.resolve(content)) == []
    content["figures"] = {"figure7": {"draw": "curvature", "runs": ["a"], "plane": "map"}}
    assert needs.surfaces_of_claims(reading.resolve(content)) == ["results/surfaces/a/map.nc"]


def test_planes_that_measure_something_else_are_refused() -> None:
    with pytest.raises(InputError, match="claims.curvature is 'steep', with measure: gradients; the claims need"):
        reading.resolve(experiment(curvature="steep"))
    with pytest.raises(InputError, match="claims.gradients is 'loss', with measure: loss"):
        reading.resolve(experiment(gradients="loss"))
