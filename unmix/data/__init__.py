"""Data sets: samplers of pairs and chains, degradations, shards on disk."""
