"""The Hessian of the training loss: products with it, its extreme eigenvalues, its spectrum; at a point, over a plane."""
