"""A recording ready for analysis, and its comparison with renders."""
