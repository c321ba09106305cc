"""Building blocks of networks: TCN, mixture density, Poincaré ball."""
