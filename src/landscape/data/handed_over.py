"""Data sets from Python objects."""

from dataclasses import replace
from typing import Any

import torch

from landscape.data import class_labels
from landscape.data.datasets import DataSet
from landscape.data.objects import check_alike, examples_of
from landscape.errors import InputError


def data_set(given: Any, device: torch.device, test: Any = None) -> DataSet:
    """Turn a user's data into a `DataSet` on `device`.

    A `Dataset` or `DataLoader` is read once, with torch's random numbers seeded by 0, so that one that shuffles or augments
    gives the same examples in the same order whenever it is handed over.

    Args:
        given: the training split: a pair of inputs and targets; inputs alone, a tensor or a dictionary; a torch `Dataset`
            or `DataLoader`; or a `DataSet`, which has its own test split.
        test: the test split, in the same forms; None for none.

    Raises:
        InputError: if it is none of these, or inputs and targets do not fit each other.
    """
    if isinstance(given, DataSet):
        if test is not None:
            raise InputError("data is what landscape.dataset makes and has its own test split; leave test out")
        train, other = given.train.to(device), given.test and given.test.to(device)
        return replace(given, train=train, test=other, black=None if given.black is None else given.black.to(device))
    train, other = examples_of(given, "data"), None if test is None else examples_of(test, "test")
    if other is not None:
        check_alike(train, other, ("data", "test"))
    found = [split.classes for split in (train, other) if split is not None]
    classes = None if None in found else max(of for of in found if of is not None)
    shape = train.image_shape
    black = None if shape is None else torch.zeros(shape[0], device=device)
    known = class_labels.of_splits({"train": train} | ({} if other is None else {"test": other}))
    header = {"name": "data", "labels": known}
    return DataSet(train.to(device), other and other.to(device), classes, black, header)
