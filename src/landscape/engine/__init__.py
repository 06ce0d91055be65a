"""Evaluate a network on the points of a plane: displace its weights, fold batch norm, fuse kernels, measure."""
