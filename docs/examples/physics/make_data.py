import numpy as np

np.savez("points.npz", train_inputs=np.linspace(0, 3, 60, dtype="float32")[:, None])
