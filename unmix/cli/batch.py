"""Several recordings, one after the other: progress, tables, JSON, files; errors line by line."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmix.analysis.result import Result
from unmix.audio.io import write
from unmix.cli import provenance, summary
from unmix.cli.console import coloured, hushed, remark, say
from unmix.cli.inputs import Recording
from unmix.cli.progress import Bars
from unmix.cli.tables import answer
from unmix.errors import UnmixError
from unmix.runtime.files import write_text
from unmix.runtime.interrupt import interruptible


def check_folder(folder: Path) -> None:
    """Make the folder if need be; UnmixError if nothing can be written there."""
    if folder.exists() and not folder.is_dir():
        raise UnmixError(f"cannot write to {folder}: it is a file, and a folder is wanted")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UnmixError(f"cannot write to {folder}: {error.strerror or error}") from None


def save(result: Result, name: str, folder: Path, entry: dict) -> list[Path]:
    """Write NAME.chain.json, with a known source NAME.answer.wav, and NAME.result.json.

    The last one is ``entry`` with the hashes of the others: it stands for a whole set.
    """
    written = [folder / f"{name}.chain.json"]
    write_text(written[0], result.chain.to_json() + "\n")
    if result.answer is not None:
        written.append(folder / f"{name}.answer.wav")
        write(written[-1], result.answer, result.sample_rate)
    files = provenance.digests(written, folder)
    written.append(folder / f"{name}.result.json")
    write_text(written[-1], _dump(entry | {"files": files}))
    return written


def _dump(document: dict) -> str:
    text = {"format": provenance.FORMAT, "version": provenance.FORMAT_VERSION} | document
    return json.dumps(text, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_json(entries: Sequence[dict]) -> str:
    """One document for all files: {"format", "version", "files": [entry, …]}.

    An entry has "file", the keys of ``Result.to_dict``, and "made": {"name" of the results,
    "seconds", "stopped_early", and what decides the result, see ``provenance.made``}. Where the
    file failed it has "file" and "error" alone.
    """
    return _dump({"files": list(entries)})


@dataclass(frozen=True)
class _Task:
    """What is done with each recording, see ``run``. ``brief``: it gets one line, not a table."""

    work: Callable[..., Result]
    options: dict
    out: Path | None
    extras: Sequence[Callable[[Result, str], list[Path]]]
    brief: bool

    @property
    def refines(self) -> bool:
        """Whether stopping early changes the answer."""
        return any(self.options.get(key) for key in ("refine", "steps", "seconds"))


def run(
    recordings: Sequence[Recording],
    work: Callable[..., Result],
    options: dict,
    out: Path | None = None,
    resume: bool = False,
    summarise: bool = False,
    extras: Sequence[Callable[[Result, str], list[Path]]] = (),
) -> tuple[list[dict], bool]:
    """Call ``work(path, progress=…, stop=…, **options)`` on each recording; print tables and
    errors, write what is wanted. Ctrl+C makes ``stop()`` true: this file's refine ends early, and
    no other is begun.

    Args:
        options: of the analysis. With "refine", "steps" or "seconds" in it, stopping early changes
            the answer.
        out: folder for the results of ``save``.
        resume: recordings whose results are there, whole, and made from the same content by the
            same options and program are not analysed again.
        summarise: write ``summary.save`` for what has been done, whatever ends the run.
        extras: called with each result and its name; they write more and give the paths.

    Returns:
        An entry a file, for ``as_json``; a failed one has "error". And whether it was stopped.
    """
    entries: list[dict] = []
    earlier = 0
    task = _Task(work, options, out, extras, brief=len(recordings) > 1 and out is not None)
    try:
        with interruptible() as interrupted, Bars(len(recordings)) as bars:
            for recording in recordings:
                if interrupted.is_set():
                    break
                bars.begin(recording.path.name)
                made = provenance.made(recording.path, options) | {"name": recording.name}
                entry = provenance.find(out, recording.name, made) if resume else None
                if entry:
                    entry["file"] = str(recording.path)  # it may have moved
                    earlier += 1
                    if not task.brief:
                        remark(f"{recording.path}: done before, see {out}/{recording.name}.*")
                    bars.skip()
                else:
                    entry = _entry(recording, made, task, bars, interrupted.is_set)
                    bars.end()
                entries.append(entry)
            stopped = interrupted.is_set()
    finally:
        if out and summarise:
            written = summary.save(entries, len(recordings), out)
            remark(f"wrote {' and '.join(map(str, written))}")
    if len(recordings) > 1:
        _close(entries, len(recordings), earlier)
    return entries, stopped


def _close(entries: Sequence[dict], total: int, earlier: int) -> None:
    """The end of a run over several recordings: how many, and once more which ones failed."""
    failed = [entry for entry in entries if "error" in entry]
    done = f"{len(entries) - len(failed)} of {total} files done"
    remark(f"{done}, {earlier} of them by an earlier run" if earlier else done)
    if len(entries) < total:
        say(f"stopped: {total - len(entries)} of {total} files not begun")
    if failed:
        say(f"{len(failed)} failed:")
        for entry in failed:
            say(f"  {entry['file']}: {entry['error']}")


def _entry(
    recording: Recording, made: dict, task: _Task, bars: Bars, stop: Callable[[], bool]
) -> dict:
    """One file: its result or its error, printed and written."""
    file, begun = recording.path, time.monotonic()
    try:
        if recording.fault:
            raise UnmixError(recording.fault)
        result = task.work(file, progress=bars.progress, stop=stop, **task.options)
        made |= {
            "seconds": round(time.monotonic() - begun, 2),
            "stopped_early": bool(stop() and task.refines),
        }
        entry = {"file": str(file)} | result.to_dict() | {"made": made}
        written = save(result, recording.name, task.out, entry) if task.out else []
    except UnmixError as error:
        text = " ".join(str(error).split())
        text = text.removeprefix(f"{file}: ")
        say(f"error: {file}: {text}", "red")
        return {"file": str(file), "error": text}
    try:
        more = [path for extra in task.extras for path in extra(result, recording.name)]
        written += [path for path in more if path not in written]
    except UnmixError as error:
        say(f"error: {file}: {error}", "red")
        entry |= {"error": str(error)}
    if made["stopped_early"]:
        remark(f"{file}: stopped early; this is the best answer so far")
    if task.brief:
        say(f"{bars.place} {file}: {answer.in_short(result)}, {made['seconds']:.1f} s")
        return entry
    say(answer.as_text(result, str(file), notes=not hushed(), colour=coloured()))
    for path in written:
        remark(f"wrote {path}")
    return entry
