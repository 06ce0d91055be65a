from torch import nn


def pixels(classes=3):
    """Logits of every pixel, from (n, 1, h, w) to (n, classes, h, w)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, classes, 1),
    )
