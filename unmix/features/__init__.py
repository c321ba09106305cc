"""What networks are given: features of a recording and of its relation to the source."""
