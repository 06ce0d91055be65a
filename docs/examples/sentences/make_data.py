"""Sentences of one or two statements about dishes: is the last word about a dish a praise? A "not" before it turns it round."""

import numpy as np

DISHES = ["soup", "bread", "fish", "cake", "rice", "salad"]
PRAISE, BLAME = ["good", "fresh", "warm", "tasty", "lovely"], ["bad", "stale", "cold", "bland", "burnt"]
WORDS = ["", "the", "was", "not", "and", *DISHES, *PRAISE, *BLAME]


def sentence(rng):
    words = []
    for part in range(rng.integers(1, 3)):
        praised, turned = rng.integers(2), rng.integers(2)
        dish, word = rng.choice(DISHES), rng.choice(PRAISE if praised else BLAME)
        words += ["and"] * part + ["the", dish, "was"] + ["not"] * turned + [word]
    return words, int(praised != turned)


rng = np.random.default_rng(0)
arrays = {}
for split, number in (("train", 400), ("test", 200)):
    sentences, targets = zip(*(sentence(rng) for _ in range(number)), strict=True)
    codes = np.zeros((number, 11), np.int64)
    for row, words in zip(codes, sentences, strict=True):
        row[: len(words)] = [WORDS.index(word) for word in words]
    arrays |= {f"{split}_inputs_words": codes, f"{split}_inputs_mask": codes > 0, f"{split}_targets": np.array(targets)}
np.savez("dishes.npz", **arrays)
