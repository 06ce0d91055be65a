"""The entries of a configuration: one module per noun."""
