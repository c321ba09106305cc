"""Lines for people, on stderr."""

from __future__ import annotations

import os
import sys

_quiet = False


def hush(wanted: bool) -> None:
    """With True no remarks and no progress bars from here on: results and errors only."""
    global _quiet
    _quiet = wanted
    if wanted:
        os.environ["TQDM_DISABLE"] = "1"  # tqdm's own switch; tqdm has not been imported yet


def hushed() -> bool:
    """Whether ``hush`` holds."""
    return _quiet


def say(line: str, style: str = "") -> None:
    """A line for people, on stderr; the style (rich's words) counts on a terminal only."""
    if style and coloured():
        from rich.console import Console

        Console(stderr=True, highlight=False, markup=False).print(line, style=style, soft_wrap=True)
    else:
        print(line, file=sys.stderr)


def remark(line: str) -> None:
    """A line that --quiet leaves out."""
    if not _quiet:
        say(line)


def coloured() -> bool:
    """Whether stderr is a terminal whose user has not asked for NO_COLOR."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
