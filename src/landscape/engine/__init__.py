"""A network on the points of a plane: how it is set there, folded, fused, and evaluated."""
