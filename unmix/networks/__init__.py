"""The inverse model: encoder, chain decoder, heads, checkpoints."""
