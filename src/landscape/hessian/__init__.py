"""Products with the Hessian, and the searches for its eigenvalues."""
