"""Data sets on disk, read and checked shard by shard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unmix.data.shards import (
    _KEYS,
    _SHARD_KEYS,
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    intact,
    shard_name,
)
from unmix.errors import UnmixError


def _typed(document, keys: dict) -> bool:
    return isinstance(document, dict) and all(
        isinstance(document.get(key), kind) and isinstance(document[key], bool) == (kind is bool)
        for key, kind in keys.items()
    )


def read_manifest(folder) -> dict:
    """The manifest of a data set, finished or not.

    Raises:
        UnmixError: no folder, no manifest, not one of this program, another version, or damaged.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if not folder.exists():
        raise UnmixError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise UnmixError(f"{folder}: is a file, not a data set folder")
    if not path.is_file():
        raise UnmixError(f"{folder}: no {MANIFEST} in it; not a data set made by unmix gen-data")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        raise UnmixError(f"{path}: damaged; remove the folder and run gen-data again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UnmixError(f"{path}: belongs to another program, not a data set of unmix")
    if manifest.get("version") != FORMAT_VERSION:
        raise UnmixError(
            f"{path}: data format {manifest.get('version')!r}; this program reads {FORMAT_VERSION}"
        )
    if not _typed(manifest, _KEYS) or not _consistent(manifest):
        raise UnmixError(f"{path}: damaged; remove the folder and run gen-data again")
    return manifest


def _consistent(manifest: dict) -> bool:
    """Whether the shards are named and numbered as ``shard_items`` says, and complete is true."""
    size, count = manifest["shard_items"], manifest["count"]
    if size < 1 or count < 1 or not all(_typed(r, _SHARD_KEYS) for r in manifest["shards"]):
        return False
    for record in manifest["shards"]:
        regular = record["first"] % size == 0 and 0 <= record["first"] < count
        items = min(size, count - record["first"])
        name = shard_name(record["first"] // size)
        if not regular or record["count"] != items or record["file"] != name:
            return False
    held = {record["first"]: record["count"] for record in manifest["shards"]}
    whole = len(held) == len(manifest["shards"])
    return whole and (sum(held.values()) == count) == manifest["complete"]


def _places(path: Path) -> dict[str, int]:
    """Where each tensor of a safetensors file begins, in bytes: behind a header in JSON, whose
    length stands in the first eight."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    return {name: 8 + length + entry["data_offsets"][0] for name, entry in tensors.items()}


class Reader:
    """A finished data set, or the beginning of one that is being made.

    Args:
        folder: made by ``generate``. Sizes are checked at once, formats as a shard is opened,
            hashes by ``verify``.
        unfinished: take what is there without a gap: ``count`` items. ``refresh`` looks for more.

    Raises:
        UnmixError: missing, damaged or foreign folder, or an unfinished one.
    """

    def __init__(self, folder, unfinished: bool = False):
        self.folder = Path(folder)
        self.records: list[dict] = []
        self.count = 0  # items that are there
        self._places: dict[int, dict[str, int]] = {}  # of the shards that are checked, by number
        self.refresh()
        self.names: tuple[str, ...] = tuple(self.manifest["tensors"])
        if not unfinished and not self.manifest["complete"]:
            done = sum(record["count"] for record in self.manifest["shards"])
            raise UnmixError(
                f"{folder}: unfinished, {done:,} of {self.manifest['count']:,} items; "
                "run the same gen-data command again to finish it"
            )

    def refresh(self) -> None:
        """Take up the shards that have come since the folder was last looked at."""
        self.manifest = read_manifest(self.folder)
        there = {record["first"]: record for record in self.manifest["shards"]}
        while record := there.get(self.count):
            self.records.append(record)
            self.count += record["count"]
            path = self.folder / record["file"]
            if not path.is_file():
                raise self._damage(path, "is missing")
            if path.stat().st_size != record["bytes"]:
                raise self._damage(
                    path, f"has {path.stat().st_size:,} bytes, not {record['bytes']:,}"
                )

    @staticmethod
    def _damage(path: Path, fault: str) -> UnmixError:
        return UnmixError(f"{path}: {fault}; run the same gen-data command again to repair it")

    def _checked_names(self, names) -> tuple[str, ...]:
        names = self.names if names is None else tuple(names)
        if unknown := [name for name in names if name not in self.names]:
            have = ", ".join(self.names)
            raise UnmixError(f"{self.folder}: no tensor {unknown[0]!r}; there are {have}")
        return names

    def shards(self, names=None, first: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """One shard after the other, from number ``first`` on: {name: array (items, …)}."""
        names = self._checked_names(names)
        for number in range(first, len(self.records)):
            items = self._empty(names, self.records[number]["count"])
            self._read(number, 0, items)
            yield items

    def _empty(self, names, count: int) -> dict[str, np.ndarray]:
        """Room for so many items."""
        tensors = self.manifest["tensors"]
        return {n: np.empty((count, *tensors[n]["shape"]), tensors[n]["dtype"]) for n in names}

    def _checked(self, number: int) -> dict[str, int]:
        """Where the tensors of a shard begin, by ``_places``; it is checked the first time."""
        from safetensors import SafetensorError, safe_open

        if number in self._places:
            return self._places[number]
        record = self.records[number]
        path = self.folder / record["file"]
        expected = {key: record[key] for key in ("first", "count")}
        expected["fingerprint"] = self.manifest["fingerprint"]
        try:
            file = safe_open(path, framework="np")
            if json.loads((file.metadata() or {}).get(FORMAT, "null")) != expected:
                raise self._damage(path, "belongs to another data set")
            for name, spec in self.manifest["tensors"].items():
                rows = file.get_slice(name)
                shape, dtype = rows.get_shape(), rows[0:1].dtype
                if shape != [record["count"], *spec["shape"]] or dtype != spec["dtype"]:
                    raise self._damage(path, f"holds {name!r} in another shape or type")
        except (SafetensorError, OSError, ValueError):
            raise self._damage(path, "is damaged") from None
        self._places[number] = _places(path)
        return self._places[number]

    def load(self, names=None, indices=None) -> dict[str, np.ndarray]:
        """Items of the data set as copies.

        Args:
            names: of the tensors; all if None.
            indices: numbers of the items, in any order; all items if None. Only these are read.

        Returns:
            {name: array (items, …)}.
        """
        names = self._checked_names(names)
        loaded = self._empty(names, self.count if indices is None else len(indices))
        if indices is None:
            for number, record in enumerate(self.records):
                rows = slice(record["first"], record["first"] + record["count"])
                self._read(number, 0, {name: array[rows] for name, array in loaded.items()})
            return loaded
        for place, index in enumerate(indices):
            if not 0 <= index < self.count:
                raise IndexError(f"item {index} of {self.count}")
            number, row = divmod(int(index), self.manifest["shard_items"])
            items = {name: array[place : place + 1] for name, array in loaded.items()}
            self._read(number, row, items)
        return loaded

    def _read(self, number: int, row: int, items: dict[str, np.ndarray]) -> None:
        """Fill arrays (N, …) with N items of a shard, from ``row`` on.

        By reads of just these: from a map of the file, the system would take up what lies around
        a single item, many times as much, and a data set larger than the memory would come slowly.
        """
        places = self._checked(number)
        path = self.folder / self.records[number]["file"]
        try:
            with open(path, "rb", buffering=0) as file:
                for name, array in items.items():
                    file.seek(places[name] + row * (array.nbytes // len(array)))
                    if file.readinto(array) != array.nbytes:
                        raise self._damage(path, "is cut short")
        except OSError as error:
            raise self._damage(path, (error.strerror or str(error)).lower()) from None

    def verify(self) -> None:
        """Compare every shard with its hash; UnmixError names the first that differs."""
        for record in self.records:
            if not intact(self.folder, record):
                raise self._damage(self.folder / record["file"], "does not match its hash")
