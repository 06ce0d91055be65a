"""How the directions of a plane were made, in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from landscape.lazy import np

_NORMALIZED = {
    "filter": "every filter scaled to the norm of the network's own (filter normalisation)",
    "layer": "every layer scaled to the norm of the network's own (layer normalisation)",
    "model": "scaled as a whole to the norm of the network's weights",
    "none": "not normalised",
}


def made(spec: Mapping[str, Any], seeds: Sequence[int], *, line: bool) -> str:
    """Explain in a sentence how directions were made, from the specification of their plane."""
    how = spec["directions"]
    seed = f" (seed {each(seeds)})" if seeds else ""
    if how == "to":
        return f"The direction is the difference of the weights of {escape(spec['run'])} to those of the run."
    if how == "of":
        return f"The directions are those of the plane {escape(spec['plane'])} around {escape(spec['run'])}."
    if how == "through":
        return _through([escape(run) for run in spec["runs"]], seed, line)
    if how == "pca":
        return (
            "The directions are the first two principal components of the run's kept epochs, taken as differences to its "
            f"end and {'centred' if spec['centred'] else 'not centred'}."
        )
    if how == "eigenvectors":
        names = spec["vectors"][: 1 if line else 2]
        are = "s are the eigenvectors" if len(names) > 1 else " is the eigenvector"
        return (
            f"The direction{are} {' and '.join(names)} of the Hessian that the probe {escape(spec['probe'])} finds at the "
            "centre, of unit length."
        )
    start = "The direction alpha leads to the run's own initial weights"
    if how == "start" and line:
        return f"{start}."
    random = "One random Gaussian direction" if line else "Two random Gaussian directions"
    said = f"{start}, beta is a random Gaussian one" if how == "start" else random
    return f"{said}{seed}, {_NORMALIZED[spec['normalize']]}."


def over(parameters: str) -> str:
    """Say which parameters a derivative is taken over, from the key `parameters`."""
    named = {"filters": "the parameters that have filters", "all": "all parameters"}
    return named.get(parameters, f"the parameters in whose name {escape(parameters)} is found")


def escape(text: str) -> str:
    """Escape text for reStructuredText, so that it shows unchanged."""
    text = re.sub(r"([\\`*_|<>\[\]:@])", r"\\\1", " ".join(text.split()))  # RUN@EPOCH is no address
    return text if text[:1].isalnum() or text[:1] == "\\" else f"\\{text}"


def each(values: Iterable[Any]) -> str:
    """Write the different values, in order: `50,000`, or `1,500 / 50,000`."""
    different = dict.fromkeys(
        f"{value:,}" if isinstance(value, int | np.integer) else escape(str(value)) for value in values
    )
    return " / ".join(different)


def _through(runs: Sequence[str], seed: str, line: bool) -> str:
    if line:
        return f"The line goes through the run and {runs[0]}, which lies at 1."
    names = f"the run, {runs[0]} and {runs[1]}" if len(runs) == 2 else f"the run and {runs[0]}"
    beta = f"; beta is random{seed}" if len(runs) == 1 else ""
    return f"The plane goes through {names}; its axes are orthogonal and of one length, {runs[0]} lies at (1, 0){beta}."
