import numpy as np
import torch

import landscape as ls

from nets import classifier

torch.manual_seed(0)
arrays = {name: torch.from_numpy(array) for name, array in np.load("dishes.npz").items()}
train, test = (
    ({part: arrays[f"{split}_inputs_{part}"] for part in ("words", "mask")}, arrays[f"{split}_targets"])
    for split in ("train", "test")
)
network = classifier()
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(80):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(**train[0])["logits"], train[1]).backward()
    optimizer.step()

surface = ls.plane(network, train, test=test, output="logits", alpha=("auto", 15), beta=("auto", 15), rise=0.7)
ls.draw.contours(surface).savefig("around.png")
print(f"test accuracy {surface.test_accuracy.sel(alpha=0, beta=0):.2f}")
print(f"alpha and beta up to {surface.alpha[-1]:.1f}, where the loss has risen by {surface.rise:.1f}")
