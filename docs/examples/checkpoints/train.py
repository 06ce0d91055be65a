from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

import landscape as ls

from nets import cnn

digits = ls.dataset("digits", examples=300)  # .train.inputs, (300, 1, 8, 8), and .train.targets, (300,)
torch.manual_seed(0)
network = cnn()
optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
Path("checkpoints").mkdir(exist_ok=True)
for epoch in range(11):
    torch.save(network.state_dict(), f"checkpoints/epoch_{epoch:02d}.pt")
    network.train()
    for batch in torch.randperm(300).split(50):
        optimizer.zero_grad()
        cross_entropy(network(digits.train.inputs[batch]), digits.train.targets[batch]).backward()
        optimizer.step()
