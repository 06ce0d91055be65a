"""Which figures to make when not all can be: an integer programme."""

from collections.abc import Mapping, Sequence

import pulp

from landscape.errors import InputError


def choose(cost: Mapping[frozenset[str], float], names: Sequence[str], budget: float) -> list[str]:
    """As many figures as a budget allows, and of the selections of as many the cheapest.

    With x_f = 1 for a figure that is made, and y_s = 1 where the jobs are done that the figures of a set s share:

        maximise  sum x_f - sum cost_s y_s / (2 budget)   so that   x_f <= y_s for f in s,   sum cost_s y_s <= budget.

    The second term is at most one half, so it decides between equal numbers alone.

    Args:
        cost: for each set of figures, of the jobs that all of them need and no other figure does.
        names: the figures to choose from.
        budget: in the unit of `cost`.

    Returns:
        The chosen ones, in the order of `names`.

    Raises:
        InputError: if the solver is missing, or fails.
    """
    names = [name for name in names if sum(share for members, share in cost.items() if name in members) <= budget]
    if budget <= 0:
        return names  # those that cost nothing
    made = {name: pulp.LpVariable(f"x{k}", cat="Binary") for k, name in enumerate(names)}
    done = {members: pulp.LpVariable(f"y{k}", 0, 1) for k, members in enumerate(cost)}
    spent = pulp.lpSum(share / budget * done[members] for members, share in cost.items())
    problem = pulp.LpProblem("figures", pulp.LpMaximize)
    problem += pulp.lpSum(made.values()) - spent / 2
    problem += spent <= 1
    for members, share in done.items():
        for name in members & made.keys():
            problem += made[name] <= share
    solver = pulp.PULP_CBC_CMD(msg=False)
    if not solver.available():
        raise InputError(
            "figures are chosen with the solver CBC, which pulp brings along for most machines, not for this"
        )
    if problem.solve(solver) != pulp.LpStatusOptimal:
        raise InputError(f"the solver CBC found no best choice of figures: {pulp.LpStatus[problem.status]}")
    return [name for name in names if made[name].value() > 0.5]
