"""One training loop, its optimisers and schedules, and the history it leaves."""
