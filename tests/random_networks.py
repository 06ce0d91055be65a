"""Networks drawn at random, for the tests of everything that rebuilds a network to make it faster."""

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

block = st.fixed_dictionaries(
    {
        "bias": st.booleans(),
        "stride": st.sampled_from([1, 2]),
        "groups": st.sampled_from([1, 2]),
        "norm": st.sampled_from(["none", "affine", "plain", "batch"]),
        "join": st.sampled_from(["none", "add", "cat"]),
        "pool": st.booleans(),
        "first": st.booleans(),
    }
)


class Random(nn.Module):
    """Convolutions as the drawn blocks say: with and without bias, stride, groups, batch norm, joins and pooling."""

    def __init__(self, blocks: list[dict[str, Any]]):
        super().__init__()
        self.blocks = blocks
        channels = 4
        for k, drawn in enumerate(blocks):
            norms = {
                "none": nn.Identity(),
                "affine": nn.BatchNorm2d(channels),
                "plain": nn.BatchNorm2d(channels, affine=False),
                "batch": nn.BatchNorm2d(channels, track_running_stats=False),
            }
            self.add_module(
                f"conv{k}",
                nn.Conv2d(
                    channels, channels, 3, drawn["stride"], padding=1, groups=drawn["groups"], bias=drawn["bias"]
                ),
            )
            self.add_module(f"norm{k}", norms[drawn["norm"]])
            channels *= 2 if drawn["join"] == "cat" else 1
        self.head = nn.Linear(channels, 3)
        self.head_norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        for k, drawn in enumerate(self.blocks):
            conv, norm = getattr(self, f"conv{k}"), getattr(self, f"norm{k}")
            y = conv(norm(x)) if drawn["first"] else norm(conv(x))
            x = x[:, :, :: drawn["stride"], :: drawn["stride"]]
            if drawn["join"] == "add":
                y = torch.relu(x + y)
            elif drawn["join"] == "cat":
                y = torch.cat([x, y], 1).relu()
            x = nn.functional.max_pool2d(y, 2, 1, 1) if drawn["pool"] else y
        pooled: Tensor = self.head_norm(self.head(x.mean((2, 3))))
        return pooled
