"""Images with a bright square and a dim disc; the class of each pixel, and 255 at edges, where nobody is sure."""

import numpy as np

rng = np.random.default_rng(0)
y, x = np.mgrid[:16, :16]


def drawn(n):
    images, labels = np.zeros((n, 1, 16, 16), "float32"), np.zeros((n, 16, 16), "int64")
    for image, label in zip(images[:, 0], labels, strict=True):
        (a, b), (c, d) = rng.integers(3, 12, (2, 2))
        label[(abs(x - a) < 3) & (abs(y - b) < 3)] = 1
        label[(x - c) ** 2 + (y - d) ** 2 < 9] = 2
        image += np.array([0.0, 1.0, 0.5])[label] + 0.1 * rng.normal(size=(16, 16))
        label[(abs(x - a) == 3) & (abs(y - b) <= 3)] = 255
    return images, labels


(train_inputs, train_targets), (test_inputs, test_targets) = drawn(40), drawn(20)
np.savez(
    "shapes.npz",
    train_inputs=train_inputs,
    train_targets=train_targets,
    test_inputs=test_inputs,
    test_targets=test_targets,
)
