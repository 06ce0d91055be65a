"""What the results say together: tables, the summary, claims."""
