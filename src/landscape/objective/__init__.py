"""The objective: the loss of each example and the score beside it."""
