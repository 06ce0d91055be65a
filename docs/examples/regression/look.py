import numpy as np
import torch

import landscape as ls

from nets import small

torch.manual_seed(0)
waves = {name: torch.from_numpy(array) for name, array in np.load("waves.npz").items()}
train, test = (tuple(waves[f"{split}_{part}"] for part in ("inputs", "targets")) for split in ("train", "test"))
network = small()
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(300):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(network(train[0]), train[1]).backward()
    optimizer.step()

surface = ls.plane(network, train, test=test, loss="mse", alpha=(-1, 1, 21), beta=(-1, 1, 21))
ls.draw.contours(surface).savefig("around.png")
print(f"test R2 {surface.test_r2.sel(alpha=0, beta=0):.2f}")
