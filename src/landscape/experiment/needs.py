"""Results that the figures, the summary and the claims are made of."""

from collections.abc import Iterable

from landscape.artefacts import path
from landscape.experiment.jobs import history_file, probe_file, weights, weights_file
from landscape.experiment.lookup import differing, entry, figure, impossible, no_path, plane, probe
from landscape.experiment.schema import Experiment
from landscape.measures.plane import Plane
from landscape.probes.probe import Probe


def results_of_figure(experiment: Experiment, name: str) -> list[str]:
    """Every result that a figure draws, weights excepted."""
    drawn = figure(experiment, name)
    marks = (path(experiment.results, "mark", state=at, plane=p, marked=mark) for at, p, mark in drawn.marked)
    probes = (probe_file(experiment, at, probe) for at, probe in drawn.probed)
    found = [
        *surface_files(experiment, drawn.seen),
        *histories(experiment, drawn.states),
        *trajectory_files(experiment, drawn.paths),
        *marks,
        *probes,
    ]
    return list(dict.fromkeys(found))


def weights_of_figure(experiment: Experiment, name: str) -> list[str]:
    """The files of the weights that a figure shows."""
    return list(dict.fromkeys(weights_file(experiment, at) for at in figure(experiment, name).weighed))


def weighed_in_figure(experiment: Experiment, name: str) -> list[str]:
    """The same, one for each state, as the verb takes them."""
    return [weights(experiment, at) for at in figure(experiment, name).weighed]


def group_of_figure(experiment: Experiment, name: str) -> str:
    """The heading under which the report files a figure."""
    drawn = figure(experiment, name)
    return drawn.group or drawn.draw.capitalize()


def differentiated(experiment: Experiment) -> list[tuple[str, str, Plane | Probe]]:
    """Every state of which a figure shows derivatives, as (figure, state, plane or probe)."""
    found = []
    for name in experiment.figures:
        drawn = figure(experiment, name)
        entries: list[tuple[str, Plane | Probe]] = [(at, plane(experiment, on)) for at, on in drawn.seen]
        entries += [(at, probe(experiment, measured)) for at, measured in drawn.probed]
        found += [(name, at, entry) for at, entry in entries if entry.differentiates]
    return found


def histories_of_table(experiment: Experiment, name: str) -> list[str]:
    return histories(experiment, entry("table", experiment.tables, name).runs)


def results_of_summary(experiment: Experiment) -> list[str]:
    """Every result that the summary is made of."""
    return [*histories(experiment), *surfaces_of_summary(experiment), *trajectories_of_summary(experiment)]


def results_of_claims(experiment: Experiment) -> list[str]:
    """Every result that the claims are judged on."""
    return [*histories(experiment), *surfaces_of_claims(experiment), *trajectories_of_claims(experiment)]


def histories(experiment: Experiment, states: Iterable[str] | None = None) -> list[str]:
    """The histories of some runs or states, by default of all runs."""
    return [history_file(experiment, at) for at in (experiment.runs if states is None else states)]


def surface_files(experiment: Experiment, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """A surface for each pair of a state and a plane, once."""
    return [path(experiment.results, "surface", state=at, plane=on) for at, on in dict.fromkeys(pairs)]


def trajectory_files(experiment: Experiment, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """A trajectory for each pair of a run and a plane, once."""
    return [path(experiment.results, "trajectory", run=run, plane=on) for run, on in dict.fromkeys(pairs)]


def surfaces(experiment: Experiment) -> list[str]:
    """Every surface a figure uses, once."""
    return surface_files(experiment, _seen_in_figures(experiment))


def surfaces_of_summary(experiment: Experiment) -> list[str]:
    """The surfaces the summary reads: its runs on its plane, and every line between runs that is made anyway."""
    lines = {name for name, plane in experiment.planes.items() if plane.is_line and plane.others and not plane.plane}
    made = (*_seen_in_figures(experiment), *_seen_in_claims(experiment))
    return surface_files(experiment, [*_seen_in_summary(experiment), *(pair for pair in made if pair[1] in lines)])


def surfaces_of_claims(experiment: Experiment) -> list[str]:
    """The claims' runs on their planes and lines, and what else is made on these for figures and the summary."""
    claims = experiment.claims
    if claims is None:
        return []
    named = (claims.planes, claims.lines, claims.curvature, claims.gradients)
    wanted = {name for names in named for name in names or ()}
    made = (*_seen_in_figures(experiment), *_seen_in_summary(experiment))
    shown = [(at, on) for at, on in made if on in wanted and "@" not in at]
    return surface_files(experiment, [*_seen_in_claims(experiment), *shown])


def trajectories_of_summary(experiment: Experiment) -> list[str]:
    """Every trajectory that is made anyway."""
    return trajectory_files(experiment, [*_paths_of_figures(experiment), *_paths_of_claims(experiment)])


def trajectories_of_claims(experiment: Experiment) -> list[str]:
    """Trajectories of the claims' runs, and those that figures make on the same planes."""
    return trajectory_files(experiment, _paths_of_claims(experiment))


def _paths_of_figures(experiment: Experiment) -> list[tuple[str, str]]:
    return [pair for name in experiment.figures for pair in figure(experiment, name).paths]


def _paths_of_claims(experiment: Experiment) -> list[tuple[str, str]]:
    claims = experiment.claims
    if claims is None:
        return []
    planes = claims.paths or ()
    own = [pair for pair in _possible(experiment, planes, claims.runs) if not no_path(experiment, pair[0])]
    return [*own, *(pair for pair in _paths_of_figures(experiment) if pair[1] in planes)]


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


def _possible(experiment: Experiment, planes: Iterable[str], runs: Iterable[str] | None) -> list[tuple[str, str]]:
    """Every one of the runs (None: of all) on every plane where it can be seen."""
    chosen = list(experiment.runs if runs is None else runs)
    return [(r, name) for name in planes for r in chosen if not impossible(experiment, r, name)]
