"""The types that a configuration is made of: sections, their values, and fields that say what they refer to. Never imports torch."""
