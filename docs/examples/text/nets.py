import torch
from torch import nn


class GPT(nn.Module):
    """A causal transformer: logits of the next character, from (n, length) to (n, length, characters)."""

    def __init__(self, characters, length, width, layers):
        super().__init__()
        self.characters = nn.Embedding(characters, width)
        self.places = nn.Embedding(length, width)
        block = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, characters)

    def forward(self, text):
        length = text.shape[1]
        mask = torch.triu(torch.ones(length, length, dtype=torch.bool, device=text.device), 1)
        hidden = self.characters(text) + self.places(torch.arange(length, device=text.device))
        return self.head(self.blocks(hidden, mask=mask))


def tiny(characters=27, length=16, width=16, layers=1):
    return GPT(characters, length, width, layers)
