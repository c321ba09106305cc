"""How results were made, and whether those on disk can stand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from unmix.analysis.result import FORMAT, FORMAT_VERSION
from unmix.runtime.files import file_hash

DECISIVE = ("sha256", "options", "code", "weights")  # the same: the result would be the same
SHOWING = ("cli", "export", "report")  # packages that show results and decide none


def digest(path: Path) -> str | None:
    """SHA-256 of a file; None where it cannot be read."""
    try:
        return file_hash(path)
    except OSError:
        return None


def _digest_of(files: Iterable[Path]) -> str:
    """16 hex digits of the contents of files, in their order."""
    whole = " ".join(digest(path) or "" for path in files)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def code_digest(package: Path) -> str:
    """Of the Python files of the package that can change a result: all but those that show it."""
    files = sorted(package.rglob("*.py"))
    return _digest_of(path for path in files if path.relative_to(package).parts[0] not in SHOWING)


@cache
def program() -> dict:
    """{"unmix": version, "probe": version, "code", "weights": digests}: the program as it is here.

    The digests say whether another run would give the same results; the versions are for people.
    """
    from importlib.resources import files

    from unmix.data import fingerprint
    from unmix.weights import bundled

    return {
        **fingerprint.versions(),
        "code": code_digest(Path(str(files("unmix")))),
        "weights": _digest_of(sorted(bundled("").glob("*.safetensors"))),
    }


def made(recording: Path, options: dict) -> dict:
    """What decides a result: {"sha256" of the recording, "options"} and ``program``.

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
