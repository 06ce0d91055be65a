"""Learning rate schedules."""

import math

from landscape.training.run_section import Run


def learning_rate(run: Run, step: int, steps_per_epoch: int) -> float:
    """Compute the learning rate of step `step`, counted from 0.

    step: the initial rate, divided by ten after each of the epochs `run.drops`.
    cosine: half a cosine from the initial rate to 0, reached one step after the last (Loshchilov and Hutter 2017, without
    restarts; as torch's CosineAnnealingLR).
    constant: the initial rate.

    These three warm up in the first n steps, the share `run.rising` of all: step k = 1, ..., n has k / n of the initial
    rate. `step` counts its epochs from the start of the training; the cosine begins after the warm-up.

    onecycle: half a cosine from rate / 25 up to the rate over the share `run.rising` of all steps, then half a cosine
    down to rate / 250,000 (Smith and Topin 2017; as torch's OneCycleLR).
    """
    rate, steps = run.initial_rate, run.last_epoch * steps_per_epoch
    if run.schedule == "onecycle":
        last = steps - 1
        peak = max(run.rising * steps - 1, 0)
        if step < peak:
            return _cosine(rate / 25, rate, step / peak)
        return _cosine(rate, rate / 250_000, (step - peak) / ((last - peak) or 1))
    rising = round(run.rising * steps)
    if step < rising:
        rate *= (step + 1) / rising
    if run.schedule == "step":
        return rate / 10.0 ** sum(step >= drop * steps_per_epoch for drop in run.drops)
    if run.schedule == "cosine" and step > rising:
        return _cosine(rate, 0.0, (step - rising) / (steps - rising))
    return rate


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
