"""Evaluate all results together: tables, the summary, claims."""
