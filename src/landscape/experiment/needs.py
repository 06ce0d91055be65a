"""Results that the figures, the summary and the claims are made of."""

from collections.abc import Iterable

from landscape.artefacts import path
from landscape.experiment.analysis_sections import Claims
from landscape.experiment.jobs import history_file, probe_file, weights, weights_file
from landscape.experiment.lookup import differing, entry, figure, impossible, no_path, plane
from landscape.experiment.schema import Experiment


def surface_files(experiment: Experiment, pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [path(experiment.results, "surface", state=at, plane=plane_name) for at, plane_name in pairs]


def trajectory_files(experiment: Experiment, pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [path(experiment.results, "trajectory", run=run, plane=plane_name) for run, plane_name in pairs]


def surfaces_of_figure(experiment: Experiment, name: str) -> list[str]:
    return surface_files(experiment, figure(experiment, name).seen)


def histories_of_figure(experiment: Experiment, name: str) -> list[str]:
    return [history_file(experiment, at) for at in figure(experiment, name).states]


def trajectories_of_figure(experiment: Experiment, name: str) -> list[str]:
    return trajectory_files(experiment, figure(experiment, name).paths)


def marks_of_figure(experiment: Experiment, name: str) -> list[str]:
    return [
        path(experiment.results, "mark", state=at, plane=p, marked=mark)
        for at, p, mark in figure(experiment, name).marked
    ]


def probes_of_figure(experiment: Experiment, name: str) -> list[str]:
    return [probe_file(experiment, at, of) for at, of in figure(experiment, name).probed]


def weights_of_figure(experiment: Experiment, name: str) -> list[str]:
    """The files of the weights that a figure shows."""
    return list(dict.fromkeys(weights_file(experiment, at) for at in figure(experiment, name).weighed))


def weighed_in_figure(experiment: Experiment, name: str) -> list[str]:
    """The same, one for each state, as the verb takes them."""
    return [weights(experiment, at) for at in figure(experiment, name).weighed]


def results_of_figure(experiment: Experiment, name: str) -> list[str]:
    """Every result that a figure draws, weights excepted."""
    of = (
        surfaces_of_figure,
        histories_of_figure,
        trajectories_of_figure,
        marks_of_figure,
        probes_of_figure,
    )
    return list(dict.fromkeys(found for question in of for found in question(experiment, name)))


def results_of_summary(experiment: Experiment) -> list[str]:
    """Every result that the summary is made of."""
    return [*histories(experiment), *surfaces_of_summary(experiment), *trajectories_of_summary(experiment)]


def results_of_claims(experiment: Experiment) -> list[str]:
    """Every result that the claims are judged on."""
    return [*histories(experiment), *surfaces_of_claims(experiment), *trajectories_of_claims(experiment)]


def group_of_figure(experiment: Experiment, name: str) -> str:
    """The heading under which the report files a figure."""
    drawn = figure(experiment, name)
    return drawn.group or drawn.draw.capitalize()


def surfaces_of_summary(experiment: Experiment) -> list[str]:
    """The surfaces the summary reads: its runs on its plane, and every line between runs that is made anyway."""
    lines = [
        name for name, entry in experiment.planes.items() if entry.is_line and entry.others and entry.plane is None
    ]
    made = [pair for pair in (*_seen_in_figures(experiment), *_seen_in_claims(experiment)) if pair[1] in lines]
    return surface_files(experiment, dict.fromkeys([*_seen_in_summary(experiment), *made]))


def trajectories_of_summary(experiment: Experiment) -> list[str]:
    """Every trajectory that is made anyway."""
    return list(dict.fromkeys([*_trajectories_of_figures(experiment), *trajectories_of_claims(experiment)]))


def histories(experiment: Experiment, names: Iterable[str] | None = None) -> list[str]:
    """The histories of some runs, by default of all."""
    return [history_file(experiment, name) for name in (experiment.runs if names is None else names)]


def runs_of_table(experiment: Experiment, name: str) -> tuple[str, ...]:
    return entry("table", experiment.tables, name).runs


def histories_of_table(experiment: Experiment, name: str) -> list[str]:
    return histories(experiment, runs_of_table(experiment, name))


def surfaces_of_claims(experiment: Experiment) -> list[str]:
    """The claims' runs on their planes and lines, and what else is made on these for figures and the summary."""
    claims = experiment.claims
    if claims is None:
        return []
    wanted = _planes_of_claims(claims)
    made = (*_seen_in_figures(experiment), *_seen_in_summary(experiment))
    pairs = [*_seen_in_claims(experiment), *(pair for pair in made if pair[1] in wanted and "@" not in pair[0])]
    return surface_files(experiment, dict.fromkeys(pairs))


def trajectories_of_claims(experiment: Experiment) -> list[str]:
    """Trajectories of the claims' runs, and those that figures make on the same planes."""
    claims = experiment.claims
    if claims is None:
        return []
    pairs = [(r, p) for r, p in _possible(experiment, claims.paths or (), claims.runs) if not no_path(experiment, r)]
    made = [pair for name in experiment.figures for pair in figure(experiment, name).paths]
    pairs += [pair for pair in made if pair[1] in (claims.paths or ())]
    return trajectory_files(experiment, dict.fromkeys(pairs))


def surfaces(experiment: Experiment) -> list[str]:
    """Every surface a figure uses, once."""
    return list(dict.fromkeys(found for name in experiment.figures for found in surfaces_of_figure(experiment, name)))


def _seen_in_figures(experiment: Experiment) -> list[tuple[str, str]]:
    return [pair for name in experiment.figures for pair in figure(experiment, name).seen]


def _seen_in_summary(experiment: Experiment) -> list[tuple[str, str]]:
    wanted = experiment.summary
    return _possible(experiment, [wanted.plane] if wanted.plane else [], wanted.runs)


def _seen_in_claims(experiment: Experiment) -> list[tuple[str, str]]:
    """Every run on every plane and line the claims name, and every line from a run to one that differs in batch size."""
    claims = experiment.claims
    if claims is None:
        return []
    pairs = _possible(experiment, (*(claims.planes or ()), *(claims.lines or ())), claims.runs)
    for name in claims.interpolations or ():
        end = plane(experiment, name).run
        pairs += [
            (start, name)
            for start, _ in _possible(experiment, [name], None)
            if end in experiment.runs and differing(experiment.runs[start], experiment.runs[end]) == {"batch_size"}
        ]
    return pairs


def _planes_of_claims(claims: Claims) -> tuple[str, ...]:
    """The planes and lines that the claims look at."""
    named = (claims.planes, claims.lines, claims.curvature, claims.gradients)
    return tuple(dict.fromkeys(name for names in named for name in names or ()))


def _trajectories_of_figures(experiment: Experiment) -> list[str]:
    return [found for name in experiment.figures for found in trajectories_of_figure(experiment, name)]


def _possible(experiment: Experiment, planes: Iterable[str], runs: Iterable[str] | None) -> list[tuple[str, str]]:
    """Every one of the runs (None: of all) on every plane where it can be seen."""
    chosen = list(experiment.runs if runs is None else runs)
    return [(r, name) for name in planes for r in chosen if not impossible(experiment, r, name)]
