"""Files: whole or not at all, with a header that says what they are and how they were made."""
