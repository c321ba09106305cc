"""Several recordings, one after the other: progress, tables, JSON, files; errors line by line."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from unmix import export
from unmix.analyze import Result
from unmix.audio import write, write_text
from unmix.errors import UnmixError
from unmix.interrupt import interruptible
from unmix.report import table

FORMAT, FORMAT_VERSION = "unmix-result", 1


def check_folder(folder: Path) -> None:
    """Make the folder if need be; UnmixError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UnmixError(f"cannot write to {folder}: {error.strerror or error}") from None


def save(result: Result, name: str, folder: Path) -> list[Path]:
    """Write NAME.chain.json, NAME.result.json and, with a known source, NAME.answer.wav."""
    written = [folder / f"{name}.chain.json", folder / f"{name}.result.json"]
    write_text(written[0], result.chain.to_json() + "\n")
    write_text(written[1], _dump(result.to_dict()))
    if result.answer is not None:
        written.append(folder / f"{name}.answer.wav")
        write(written[-1], result.answer, result.sample_rate)
    return written


def _dump(document: dict) -> str:
    text = {"format": FORMAT, "version": FORMAT_VERSION} | document
    return json.dumps(text, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_json(entries: Sequence[dict]) -> str:
    """One document for all files: {"format", "version", "files": [{"file", …}, …]}.

    An entry has the keys of ``Result.to_dict``, or "error" where the file failed.
    """
    return _dump({"files": list(entries)})


def run(
    files: Sequence[Path],
    work: Callable[[Path, Callable | None, Callable], Result],
    refines: bool,
    out: Path | None,
    say: Callable[[str], None],
    exports: Sequence[str] = (),
) -> tuple[list[dict], bool]:
    """Call ``work(file, progress, stop)`` on each file, say tables and errors, write what is
    wanted. Ctrl+C makes ``stop()`` true: this file's refine ends early, and no other is begun.

    Args:
        refines: whether there is refine, and so a progress bar.
        out: folder for the results of ``save``.
        exports: formats of ``unmix.export`` in which the chain is written there as well.

    Returns:
        An entry a file, for ``as_json``; a failed one has "error". And whether it was stopped.
    """
    entries: list[dict] = []
    with interruptible() as interrupted:
        for number, file in enumerate(files):
            if interrupted.is_set():
                left = len(files) - number
                say(f"stopped: {left} of {len(files)} files not begun")
                break
            entries.append(_entry(file, work, refines, out, exports, say, interrupted.is_set))
        return entries, interrupted.is_set()


def _entry(file: Path, work, refines: bool, out: Path | None, exports, say, stop) -> dict:
    """One file: its result or its error, said and written."""
    try:
        result = _with_bar(file, work, refines, stop)
        written = save(result, file.stem, out) if out else []
    except UnmixError as error:
        text = " ".join(str(error).split())
        text = text.removeprefix(f"{file}: ")
        say(f"error: {file}: {text}")
        return {"file": str(file), "error": text}
    if stop() and refines:
        say(f"{file}: stopped early; this is the best answer so far")
    say(table.as_text(result, str(file)))
    for path in written:
        say(f"wrote {path}")
    entry = {"file": str(file)} | result.to_dict()
    try:
        written = export.write(result.chain, file.stem, out, exports, result) if exports else []
    except UnmixError as error:
        say(f"error: {file}: {error}")
        return entry | {"error": str(error)}
    for path in written:
        say(f"wrote {path}")
    return entry


def _with_bar(file: Path, work, refines: bool, stop) -> Result:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not refines or not console.is_terminal:
        return work(file, None, stop)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("distance {task.fields[distance]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("refine", total=None, distance="…")

        def progress(step: int, steps: int, distance: float) -> None:
            bar.update(task, completed=step, total=steps, distance=f"{distance:.3f}")

        return work(file, progress, stop)
