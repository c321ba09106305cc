"""Tables and pictures for people."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """A line for people, on stderr."""
    print(line, file=sys.stderr)
