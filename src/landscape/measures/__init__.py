"""What a plane can measure: one file for each `measure:`."""
