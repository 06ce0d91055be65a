import numpy as np
import torch

import landscape as ls

from nets import tiny

torch.manual_seed(0)
rhyme = {name: torch.from_numpy(array) for name, array in np.load("rhyme.npz").items()}
train, test = (tuple(rhyme[f"{split}_{part}"] for part in ("inputs", "targets")) for split in ("train", "test"))
network = tiny()
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(40):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(train[0]).flatten(0, 1), train[1].flatten()).backward()
    optimizer.step()

surface = ls.plane(network, train, test=test, score="perplexity", alpha=(-1, 1, 11), beta=(-1, 1, 11))
ls.draw.contours(surface).savefig("around.png")
print(f"perplexity of the training pieces {surface.train_perplexity.sel(alpha=0, beta=0):.2f}")
