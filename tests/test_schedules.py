"""Learning rates, against tables and torch's own schedules."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape.training.schedules import learning_rate

from toy_training import a_run


@pytest.mark.parametrize(
    ("first", "last", "rate"), [(1, 150, 0.1), (151, 225, 0.01), (226, 275, 0.001), (276, 300, 0.0001)]
)
def test_the_papers_rates(first: int, last: int, rate: float) -> None:
    run, steps = a_run(epochs=300, learning_rate=0.1), 391
    assert learning_rate(run, (first - 1) * steps, steps) == rate
    assert learning_rate(run, last * steps - 1, steps) == rate


def test_stated_milestones_and_a_constant_rate() -> None:
    run = a_run(epochs=4, learning_rate=1.0, milestones=[1, 3])
    assert [learning_rate(run, step, 2) for step in range(8)] == [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]
    constant = a_run(schedule="constant", learning_rate=0.7)
    assert {learning_rate(constant, step, 2) for step in range(8)} == {0.7}


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        # share 0: 1; 1/4: (1 + cos 45 deg) / 2; 1/2: 1/2; 3/4: (1 - cos 45 deg) / 2
        ({"schedule": "cosine"}, [1, 0.961940, 0.853553, 0.691342, 0.5, 0.308658, 0.146447, 0.038060]),
        ({"schedule": "cosine", "warmup": 0.5}, [0.25, 0.5, 0.75, 1, 1, 0.853553, 0.5, 0.146447]),
        ({"schedule": "constant", "warmup": 0.5}, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
        ({"schedule": "constant", "warmup": 0.3}, [0.5, 1, 1, 1, 1, 1, 1, 1]),
        ({"schedule": "constant", "warmup": 0.05}, [1, 1, 1, 1, 1, 1, 1, 1]),
        ({"schedule": "step", "milestones": [1, 3], "warmup": 0.5}, [0.25, 0.5, 0.075, 0.1, 0.1, 0.1, 0.01, 0.01]),
        ({"schedule": "step", "milestones": [2], "warmup": 0.125}, [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1]),
    ],
)
def test_rates_are_those_of_a_table(settings: dict[str, Any], rates: list[float]) -> None:
    """Four epochs of two steps, at rate 1."""
    run = a_run(epochs=4, learning_rate=1.0, **settings)
    np.testing.assert_allclose([learning_rate(run, step, 2) for step in range(8)], rates, atol=1e-6)


@pytest.mark.parametrize(("warmup", "rising"), [(0.0, 0), (0.25, 6)])
def test_cosine_is_that_of_torch(warmup: float, rising: int) -> None:
    run = a_run(epochs=4, schedule="cosine", warmup=warmup, learning_rate=0.3)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 24 - rising)
    theirs = [0.3 * (k + 1) / rising for k in range(rising)]
    while len(theirs) < 24:
        theirs.append(float(schedule.get_last_lr()[0]))
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose([learning_rate(run, step, 6) for step in range(24)], theirs, rtol=1e-9)


@settings(deadline=None, derandomize=True)
@given(epochs=st.integers(1, 8), steps=st.integers(2, 9), warmup=st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.9]))
def test_onecycle_is_that_of_torch(epochs: int, steps: int, warmup: float) -> None:
    total = epochs * steps
    run = a_run(epochs=epochs, schedule="onecycle", warmup=warmup, learning_rate=0.3)
    rates = [learning_rate(run, step, steps) for step in range(total)]
    assert max(rates) <= 0.3
    assert rates[-1] == pytest.approx(0.3 / 250_000)
    if warmup * total > 1:  # with less, torch begins past the peak
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=total, pct_start=warmup)
        theirs = [schedule.get_last_lr()[0]]
        for _ in range(total - 1):
            optimizer.step()
            schedule.step()
            theirs.append(schedule.get_last_lr()[0])
        np.testing.assert_allclose(np.array(rates), np.array(theirs), rtol=1e-9)


def test_onecycle_without_warmup_falls_from_the_rate_itself() -> None:
    run = a_run(epochs=2, schedule="onecycle", warmup=0, learning_rate=0.3)
    rates = [learning_rate(run, step, 5) for step in range(10)]
    assert rates[0] == 0.3
    assert all(later < earlier for earlier, later in zip(rates, rates[1:], strict=False))
    assert learning_rate(a_run(epochs=1, schedule="onecycle", learning_rate=0.3), 0, 1) == 0.3
