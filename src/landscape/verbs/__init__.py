"""The verbs: each reads files, calls one module, and writes files. One for each rule of the workflow, and a few by hand.

What a verb needs is imported when it runs: whoever asks for help, or checks a configuration, does not wait for torch.
"""

from landscape.verbs.keeping import clean, show
from landscape.verbs.making import adopt, dataset, part, rescale, train
from landscape.verbs.probing import probe
from landscape.verbs.seeing import directions, mark, merge, tile, trajectory
from landscape.verbs.showing import check, claims, configuration, figure, plan, schema, summary, table

__all__ = [
    "adopt",
    "check",
    "claims",
    "clean",
    "configuration",
    "dataset",
    "directions",
    "figure",
    "mark",
    "merge",
    "part",
    "plan",
    "probe",
    "rescale",
    "schema",
    "show",
    "summary",
    "table",
    "tile",
    "train",
    "trajectory",
]
