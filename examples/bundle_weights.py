"""Put results of training runs into the package: python examples/bundle_weights.py RUNS, --help."""

from unmix.training.average import main

main()
