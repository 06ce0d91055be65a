import torch

import landscape as ls

from nets import residual, solution

torch.manual_seed(0)
points = torch.linspace(0, 3, 60)[:, None]
network = solution()
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(200):
    optimizer.zero_grad()
    residual(network, points).mean().backward()
    optimizer.step()

surface = ls.plane(network, points, objective=residual, alpha=(-1, 1, 15), beta=(-1, 1, 15))
ls.draw.contours(surface).savefig("around.png")
print(f"residual {surface.train_loss.sel(alpha=0, beta=0):.4f}")
