import torch
from torch import nn


class Transformer(nn.Module):
    """A transformer that classifies sentences: the mean of its states over the words, and one layer on top."""

    def __init__(self, words, length, width, layers, classes):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Embedding(length, width)
        block = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.1, batch_first=True)
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, words, mask):
        hidden = self.words(words) + self.places(torch.arange(words.shape[1], device=words.device))
        hidden = self.blocks(hidden, src_key_padding_mask=~mask)
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return {"states": hidden, "logits": self.head(mean)}


def classifier(words=24, length=11, width=16, layers=2, num_classes=2):
    return Transformer(words, length, width, layers, num_classes)
