"""``python -m unmix``: the same as the console script."""

from unmix.cli import main

main()
