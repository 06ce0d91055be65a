"""Types of a configuration: sections, values, and fields that refer to entries. Never imports torch."""
