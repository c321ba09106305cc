"""Audio files, the probe and other test signals, synthetic material, corpora."""
