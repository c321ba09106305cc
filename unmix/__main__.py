"""``python -m unmix``: the same as the console script."""

from unmix.cli.app import main

main()
