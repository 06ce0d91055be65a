"""Pieces of a nursery rhyme; the targets are the inputs shifted by one character."""

import numpy as np

RHYME = (
    "this is the house that jack built this is the malt that lay in the house that jack built this is the rat that ate "
    "the malt that lay in the house that jack built this is the cat that killed the rat that ate the malt that lay in "
    "the house that jack built this is the dog that worried the cat that killed the rat that ate the malt "
)
codes = np.array([0 if character == " " else ord(character) - ord("a") + 1 for character in RHYME])
starts = np.arange(len(codes) - 17)
pieces = codes[starts[:, None] + np.arange(17)]
train, test = pieces[:240], pieces[240:]
np.savez(
    "rhyme.npz",
    train_inputs=train[:, :-1],
    train_targets=train[:, 1:],
    test_inputs=test[:, :-1],
    test_targets=test[:, 1:],
)
