"""Costs of derivatives of the loss in forward passes, for plans: counted once, not measured at run time."""

FORWARD_AND_BACKWARD = 3
"""Forward passes of a gradient: the backward pass costs two, one for the activations and one for the weights."""

PRODUCT = 9
"""Forward passes of a product with the Hessian that rebuilds its graph (counted); 6 if the graph is kept."""

VERIFIED = 8
"""Examples over which derivatives are compared with finite differences, spread over the split."""

VERIFICATION = {1: 80 * VERIFIED, 2: 160 * VERIFIED}
"""Forward passes of single examples that the comparison of a gradient takes, and that of a product too (2): about (measured)."""

SHARE = 0.05
"""Largest share of a point's cost that the comparison may take, to be made at each point."""

SEARCH = {"lanczos": 20, "eigsh": 62}
"""Products that the search for both extreme eigenvalues takes, about; 14 to 32 and 42 to 82 were seen."""
