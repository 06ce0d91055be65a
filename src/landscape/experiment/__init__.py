"""A whole configuration: its sections, reading and checking it, and what the workflow asks of it. Never imports torch."""
