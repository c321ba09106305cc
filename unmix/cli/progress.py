"""Progress over recordings and within one, with the time left; on a terminal only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unmix.cli.console import hushed


def steps(items: Sequence, what: str) -> Iterable:
    """The items one by one, with a bar called ``what``."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = hushed() or not console.is_terminal
    return track(items, what, console=console, transient=True, disable=hidden)


class Bars:
    """A bar over the files where there are several, and one within the file. A context manager.

    Args:
        count: number of recordings.
    """

    def __init__(self, count: int):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        console = Console(stderr=True)
        self.count, self.number, self.finished, self.total = count, 0, 0, count
        name = Column(max_width=20, no_wrap=True, overflow="ellipsis")
        self.bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=name),
            BarColumn(bar_width=18),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=hushed() or not console.is_terminal,
            speed_estimate_period=3_600,  # one file may take minutes
        )
        self.files = self.bars.add_task("", total=count, state="", visible=count > 1)
        self.file = self.bars.add_task("", total=None, state="")

    def __enter__(self):
        self.bars.start()
        return self

    def __exit__(self, *exception):
        self.bars.stop()

    @property
    def place(self) -> str:
        """``"[ 7/50]"``."""
        return f"[{self.number:>{len(str(self.count))}}/{self.count}]"

    def begin(self, name: str) -> None:
        """The next file."""
        self.number += 1
        self.bars.update(self.files, description=f"file {self.number} of {self.count}")
        self.bars.reset(self.file, total=None, description=name, state="first answer")

    def progress(self, step: int, steps: int, distance: float) -> None:
        """A step within the file."""
        state = f"step {step}/{steps}, distance {distance:.3f}"
        self.bars.update(self.file, completed=step, total=steps, state=state)
        self.bars.update(self.files, completed=self.finished + min(step / max(steps, 1), 1))

    def end(self) -> None:
        """The file is done."""
        self.finished += 1
        self.bars.update(self.files, completed=self.finished)

    def skip(self) -> None:
        """The file was done before: it tells nothing of the time that the others take."""
        self.total -= 1
        self.bars.update(self.files, total=self.total)
