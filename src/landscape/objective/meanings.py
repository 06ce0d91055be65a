"""What the names of scores mean, for readers of files: without torch."""

MEANINGS = {
    "accuracy": "share of the {} classified correctly",
    "r2": "R2 over the {}: the share of the targets' variance that the network explains",
    "perplexity": "perplexity of the {}: the exponential of the mean loss",
}


def score_meaning(name: str) -> str:
    """Return the long name of a score, with `{}` for the examples it is over; a user's own is a mean over them."""
    return MEANINGS.get(name, f"mean {name} over the {{}}")
