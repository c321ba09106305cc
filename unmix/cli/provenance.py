"""Results that are on disk already: how they were made, and whether they can stand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from unmix.analysis.result import FORMAT, FORMAT_VERSION
from unmix.runtime.files import file_hash

DECISIVE = ("sha256", "options", "unmix", "weights")  # the same: the result would be the same


def digest(path: Path) -> str | None:
    """SHA-256 of a file; None where it cannot be read."""
    try:
        return file_hash(path)
    except OSError:
        return None


@cache
def program() -> dict:
    """Version and bundled weights, as one hash: other ones may give another answer."""
    from importlib.metadata import version

    from unmix.weights import bundled

    files = sorted(bundled("").glob("*.safetensors"))
    whole = " ".join(digest(path) or "" for path in files)
    weights = hashlib.sha256(whole.encode()).hexdigest()
    return {"unmix": version("unmix"), "weights": weights[:16]}


def made(recording: Path, options: dict) -> dict:
    """What decides a result: {"sha256" of the recording, "options", "unmix", "weights"}.

    A dry file under "source" counts by its content: its hash is put beside its name.
    """
    source = options.get("source")
    of_source = digest(Path(source)) if source else None
    if of_source:
        options = {**options, "source_sha256": of_source}
    return {"sha256": digest(recording), "options": options, **program()}


def digests(files: Iterable[Path], folder: Path) -> dict:
    """{path below the folder: SHA-256}."""
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}


def find(folder: Path, name: str, wanted: dict) -> dict | None:
    """The entry of NAME.result.json if it can stand, else None.

    It can stand where its analysis was not stopped early, came from the same recording by the same
    options as ``wanted`` (see ``made``), and every file that was written with it is still whole.
    """
    try:
        document = json.loads((folder / f"{name}.result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        return None
    if document.pop("version", None) != FORMAT_VERSION or not _same(document.get("made"), wanted):
        return None
    files = document.pop("files", None)
    if not files or any(digest(folder / file) != known for file, known in files.items()):
        return None
    return document


def _same(earlier, wanted: dict) -> bool:
    if not isinstance(earlier, dict) or earlier.get("stopped_early") is not False:
        return False
    return all(earlier.get(key) == wanted[key] for key in DECISIVE)
