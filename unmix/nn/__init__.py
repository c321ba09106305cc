"""Building blocks that know nothing of effects."""
