"""Forward passes that derivatives of the loss cost, for plans: counted once, and not measured at run time."""

FORWARD_AND_BACKWARD = 3
"""Forward passes that a gradient costs: backward is two, one for the activations and one for the weights."""

PRODUCT = 9
"""Forward passes that a product with the Hessian costs where its graph is made anew (counted); of one that is kept, 6."""

SEARCH = {"lanczos": 20, "eigsh": 62}
"""Products that the search for both extreme eigenvalues takes, about: 14 to 32 and 42 to 82 were seen."""
