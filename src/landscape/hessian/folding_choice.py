"""Choice between a network and its copy with folded batch norms, to differentiate the loss."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.autograd.function import BackwardCFunction

from landscape.data.examples import Examples, call, copied
from landscape.directions import Directions
from landscape.engine.folding import Folded, fold
from landscape.networks.copying import duplicate
from landscape.objective.objective import Objective


def fold_to_differentiate(
    network: nn.Module, names: Sequence[str], directions: Directions, objective: Objective, example: Examples
) -> Folded | None:
    """Fold the batch norms of a network; return None where there are none, or where the folded network does not serve.

    It serves if it has every chosen parameter, used or not, if no direction moves a batch norm, and if the network has no
    backward of its own, which the trace of its forward would lose.

    Args:
        names: the chosen parameters.
        example: a few examples.
    """
    try:
        with torch.inference_mode():
            call(duplicate(network), copied(example.inputs))  # it may keep tensors of this mode
    except Exception:  # it needs gradients, and folding runs it without
        return None
    folded = fold(network, copied(example.inputs))
    if folded is None or not folded.pairs or not all(map(folded.leaves_norms_alone, directions.values())):
        return None
    held = dict(folded.network.named_parameters())
    return (
        folded if all(name in held for name in names) and not _has_own_backward(network, objective, example) else None
    )


def _has_own_backward(network: nn.Module, objective: Objective, example: Examples) -> bool:
    """Return whether the graph of the loss has a node of a `torch.autograd.Function` or a module's backward hook."""
    network.requires_grad_(True)
    try:
        waiting = [objective.total(network, example.fresh()).grad_fn]
    finally:
        network.requires_grad_(False)
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if isinstance(node, BackwardCFunction):
            return True
        seen.add(node)
        waiting += [before for before, _ in node.next_functions]
    return False
