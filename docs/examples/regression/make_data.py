import numpy as np

rng = np.random.default_rng(0)
x = rng.uniform(-3, 3, (300, 2)).astype("float32")
y = (np.sin(x[:, :1]) * x[:, 1:] + 0.1 * rng.normal(size=(300, 1))).astype("float32")
np.savez("waves.npz", train_inputs=x[:200], train_targets=y[:200], test_inputs=x[200:], test_targets=y[200:])
