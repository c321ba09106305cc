"""Files written whole: a temporary file, fsync, rename; and their hashes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from unmix.errors import UnmixError


def write_atomic(path, writer) -> None:
    """Call ``writer(temporary_path)``, then fsync and rename to ``path``: whole file or none.

    Raises:
        UnmixError: the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # the stem is cut, so that a name of the greatest allowed length leaves room for the rest
        prefix, suffix = f".{path.stem[:40]}-", path.suffix[:40]
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
        os.close(handle)
        writer(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise UnmixError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def write_text(path, text: str) -> None:
    """Write a text file as temp + fsync + rename."""
    write_atomic(path, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))


def file_hash(path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
