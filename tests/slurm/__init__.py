"""A SLURM for the tests, begun and ended by them."""

from slurm.node import Node, Unavailable, install, one_node

__all__ = ["Node", "Unavailable", "install", "one_node"]
