"""YAML text as plain values, within bounds: a short text can stand for more than fits into any memory."""

from pathlib import Path
from typing import Any

import yaml

from landscape.errors import InputError

MAX_BYTES = 32 * 2**20
MAX_VALUES = 1_000_000
MAX_DEPTH = 50

_DAMAGE = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)
"""What text that is no YAML raises, or `!!int ""`, or a number of ten thousand digits."""


def read(path: str | Path) -> Any:
    """What a YAML file says.

    Raises:
        InputError: if it cannot be read, is not valid YAML, or stands for more than the bounds above allow.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"{str(path)!r} is no name of a file: {error}") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES // 2**20} MiB, which no configuration needs")
    try:
        return yaml.load(content.decode(), _Bounded)
    except InputError as error:
        raise InputError(f"{path} {problem}" for problem in error.problems) from None
    except RecursionError:
        raise InputError(f"{path} is nested more than {MAX_DEPTH} deep") from None
    except _DAMAGE as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


class _Bounded(yaml.SafeLoader):
    """Counts what every node stands for, its aliases written out, before any value is made.

    An alias can only stand for a node that is complete, or for one it stands in.
    """

    def __init__(self, stream: str):
        super().__init__(stream)
        self._extent: dict[int, tuple[int, int]] = {}  # of each complete node: the values it stands for, how deep

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        node = super().compose_node(parent, index)
        if node is None or id(node) in self._extent:
            return node
        if not isinstance(node, yaml.ScalarNode) and node.end_mark is None:
            raise InputError("has an alias that stands for what it is in, without end")
        parts = [self._extent[id(part)] for part in _parts(node)]
        values, depth = 1 + sum(count for count, _ in parts), 1 + max((depth for _, depth in parts), default=0)
        if values > MAX_VALUES:
            raise InputError(f"stands for more than {MAX_VALUES:,} values once its aliases are written out")
        if depth > MAX_DEPTH:
            raise InputError(f"is nested more than {MAX_DEPTH} deep")
        self._extent[id(node)] = values, depth
        return node


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
