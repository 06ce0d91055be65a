import numpy as np
import torch

import landscape as ls

from nets import pixels

torch.manual_seed(0)
shapes = {name: torch.from_numpy(array) for name, array in np.load("shapes.npz").items()}
train, test = (tuple(shapes[f"{split}_{part}"] for part in ("inputs", "targets")) for split in ("train", "test"))
loss = {"name": "cross_entropy", "args": {"ignore_index": 255}}
network = pixels()
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(60):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(train[0]), train[1], ignore_index=255).backward()
    optimizer.step()

surface = ls.plane(network, train, test=test, loss=loss, alpha=(-1, 1, 15), beta=(-1, 1, 15))
ls.draw.contours(surface).savefig("around.png")
print(f"pixels right: {surface.test_accuracy.sel(alpha=0, beta=0):.2f}")
