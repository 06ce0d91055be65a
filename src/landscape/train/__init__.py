"""One training loop, its optimisers and schedules, and the history it leaves."""

from landscape.train.history import Evaluate, history_of
from landscape.train.loop import Trained, train
from landscape.train.schedules import learning_rate

__all__ = ["Evaluate", "Trained", "history_of", "learning_rate", "train"]
