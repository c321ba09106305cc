"""Measuring proxies, first answers and refinement on held-out material."""
