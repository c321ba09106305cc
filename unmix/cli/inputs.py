"""From what a user names — files, globs, folders — to recordings, and a name for their results."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmix.audio.corpus import AUDIO_SUFFIXES

WILD = "*?["


@dataclass(frozen=True)
class Recording:
    """One input.

    Attributes:
        path: as the user would write it.
        name: of its results, below the folder for them; with ``/`` where that is a subfolder.
        fault: why there is nothing to analyse: no file matches, or a folder holds no audio.
    """

    path: Path
    name: str
    fault: str = ""


def find(
    words: Sequence[str], recursive: bool = False, results: Path | None = None
) -> tuple[list[Recording], list[str]]:
    """Every recording that ``words`` name, once and in their order; folders and globs sorted.

    Args:
        words: files; folders, which stand for the audio files in them (by suffix, not hidden); and
            globs that the shell has left as they are (``**`` goes through subfolders).
        recursive: also the subfolders of folders.
        results: the folder for the results: a folder is not searched inside it.

    Returns:
        The recordings. A file named by itself gives its stem as the name of its results, one found
        in a folder or by a glob its path below that folder, without the suffix. Where two names
        would be the same, on a disk that ignores case too, as many of the folders above as it takes
        are put in front; where files differ in the suffix alone, it is kept.
        And remarks in plain English: what was left out.
    """
    found: dict[Path, Recording] = {}  # by absolute path
    repeated, others = 0, 0
    for word in words:
        files, left_out, fault = _look(word, recursive, results)
        others += left_out
        for path, name in files or [(Path(word), Path(word).name)]:
            absolute = Path(os.path.abspath(path))
            repeated += absolute in found
            found.setdefault(absolute, Recording(path, str(name), "" if files else fault))
    remarks = []
    if repeated:
        remarks.append(f"Named more than once, done once: {_files(repeated)}.")
    if others:
        suffixes = " ".join(AUDIO_SUFFIXES)
        remarks.append(f"Left out of folders: {_files(others)} without a suffix of {suffixes}.")
    return _with_distinct_names(found), remarks


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"


def _look(word: str, recursive: bool, results: Path | None):
    """(files with their names, number of files left out, what to say if there is none)."""
    path = Path(word)
    if path.exists() or not any(mark in word for mark in WILD):
        if not path.is_dir():
            return [(path, path.name)], 0, ""
        files, left_out = _in_folder(path, recursive, results)
        return [(file, file.relative_to(path)) for file in files], left_out, _no_audio(recursive)
    start = Path(word)
    while any(mark in str(start) for mark in WILD):
        start = start.parent
    pairs, others = [], 0
    for match in sorted(map(Path, glob.glob(word, recursive=True))):
        # a folder is searched as if it had been named; with ** its files match by themselves
        if match.is_dir():
            files, left_out = ([], 0) if "**" in word else _in_folder(match, recursive, results)
            others += left_out
        else:
            files = [match]
        pairs += [(file, file.relative_to(start)) for file in files]
    return pairs, others, "no file matches"


def _no_audio(recursive: bool) -> str:
    text = f"no audio files in this folder ({' '.join(AUDIO_SUFFIXES)})"
    return text if recursive else f"{text}; --recursive looks into its subfolders, too"


def _in_folder(folder: Path, recursive: bool, results: Path | None) -> tuple[list[Path], int]:
    """Audio files in a folder, sorted, and how many other files there are."""
    files = [path for path in _walk(folder, recursive, results) if not _is_ours(path)]
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    return sorted(audio), len(files) - len(audio)


def _walk(folder: Path, recursive: bool, results: Path | None) -> Iterator[Path]:
    """Files below a folder, without hidden ones and without the results inside it."""
    avoided = results and results.resolve()
    for place, folders, files in os.walk(folder):
        below = [name for name in folders if not name.startswith(".")]
        below = [name for name in below if (Path(place) / name).resolve() != avoided]
        folders[:] = below if recursive else []
        yield from (Path(place) / name for name in files if not name.startswith("."))


def _is_ours(path: Path) -> bool:
    """Whether this is the sound of an answer: a result stands beside it."""
    name = path.name.removesuffix(".answer.wav")
    return name != path.name and path.with_name(f"{name}.result.json").exists()


def _with_distinct_names(found: dict[Path, Recording]) -> list[Recording]:
    stems = Counter(str(path.with_suffix("")).casefold() for path in found)
    whole, depths = {}, {}
    for path, recording in found.items():
        alone = stems[str(path.with_suffix("")).casefold()] == 1
        whole[path] = (path.with_suffix("") if alone else path).relative_to(path.anchor).parts
        depths[path] = len(Path(recording.name).parts)
    while True:
        names = {path: "/".join(parts[-depths[path] :]) for path, parts in whole.items()}
        sharing: dict[str, set] = {}
        for path, name in names.items():
            sharing.setdefault(name.casefold(), set()).add(str(path).casefold())
        same = [path for path, name in names.items() if len(sharing[name.casefold()]) > 1]
        if not same:
            return [Recording(r.path, names[path], r.fault) for path, r in found.items()]
        for path in same:
            depths[path] += 1
