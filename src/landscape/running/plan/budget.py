"""Choose figures that fit a budget by an integer programme."""

from collections.abc import Mapping, Sequence

import pulp

from landscape.errors import InputError


def choose(cost: Mapping[frozenset[str], float], names: Sequence[str], budget: float) -> list[str]:
    """Choose as many figures as a budget allows; among selections of equal number, the cheapest.

    With x_f = 1 for a figure that is made, and y_s = 1 if the jobs that the figures of a set s share are done:

        maximise  sum x_f - sum cost_s y_s / (2 budget)   so that   x_f <= y_s for f in s,   sum cost_s y_s <= budget.

    The second term is at most one half, so it only decides between selections of equal number.

    Args:
        cost: by set of figures, the cost of the jobs that exactly these figures need.
        names: the figures to choose from.
        budget: in the unit of `cost`.

    Returns:
        The chosen figures, in the order of `names`.

    Raises:
        InputError: if the solver is missing, or fails.
    """
    names = [name for name in names if sum(share for members, share in cost.items() if name in members) <= budget]
    if budget <= 0:
        return names  # they cost nothing
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
        raise InputError("choosing figures for a budget needs the solver CBC, and pulp has none for this machine")
    if problem.solve(solver) != pulp.LpStatusOptimal:
        raise InputError(f"the solver CBC found no best choice of figures: {pulp.LpStatus[problem.status]}")
    return [name for name in names if made[name].value() > 0.5]
