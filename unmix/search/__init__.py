"""Refinement: chains and knobs moved until the real render is nearest to the recording."""
