"""What a run of gen-data has to do: what is there already, and what the rest will take."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

import numpy as np

from unmix.data import fingerprint, reader, shards
from unmix.data.sampler import family_size, stack_items
from unmix.errors import UnmixError
from unmix.runtime.workers import Pool, cores

TIMED_SECONDS = 0.5
SPARE_BYTES = 16_000_000  # left free on the disk, besides 1 % of the data


def _measure(sampler, count: int) -> tuple[dict[str, np.ndarray], float]:
    """The first family, and the seconds that an item takes once everything is warm."""
    size = family_size(sampler)
    sample = stack_items(sampler, 0, size)
    start, done = time.perf_counter(), 0
    while done == 0 or (time.perf_counter() - start < TIMED_SECONDS and done < count):
        stack_items(sampler, done, size)
        done += size
    return sample, (time.perf_counter() - start) / done


def strays(folder: Path) -> list[Path]:
    """Temporary files that a killed run left."""
    return [*folder.glob(".shard-*"), *folder.glob(f".{Path(shards.MANIFEST).stem}-*")]


def _previous(out: Path, sampler, count: int) -> dict | None:
    """The manifest in ``out``, or None in a new or empty folder; UnmixError if it is not ours."""
    if not out.exists() or set(out.iterdir()) <= set(strays(out)):
        return None
    manifest = reader.read_manifest(out)
    if manifest["fingerprint"] != sampler.fingerprint:
        what = fingerprint.differences(manifest["config"], sampler.config) or "other settings"
        raise UnmixError(f"{out}: holds data of {what}; use another folder or the same settings")
    if manifest["count"] > count:
        held = manifest["count"]
        raise UnmixError(
            f"{out}: is a set of {held:,} items, more than {count:,}; use another folder"
        )
    return manifest


def _kept(out: Path, previous: dict | None, count: int) -> dict[int, dict]:
    """Records of the shards that need not be made again, by number: whole, and hashes right."""
    if previous is None:
        return {}
    size = previous["shard_items"]
    return {
        record["first"] // size: record
        for record in previous["shards"]
        if record["count"] == min(size, count - record["first"]) and shards.intact(out, record)
    }


def _existing_parent(out: Path) -> Path:
    """The nearest folder that exists; UnmixError if nothing can be written there."""
    parent = next(p for p in (out, *out.absolute().parents) if os.path.lexists(p))
    if not parent.is_dir():
        raise UnmixError(f"cannot write {out}: {parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UnmixError(f"cannot write {out}: no permission to write in {parent}")
    return parent


def _bytes_text(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} GB" if count < 1000 else f"{count:,.0f} GB"


def _time_text(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass(frozen=True)
class Plan:
    """What is asked for, and what of it is there.

    Attributes:
        parent: the nearest folder that exists. previous: the manifest in ``out``, if there is one.
        kept: records of the shards that need not be made again, by number.
    """

    sampler: object
    count: int
    out: Path
    workers: int
    parent: Path
    previous: dict | None
    kept: dict[int, dict]

    @staticmethod
    def of(sampler, count: int, out, workers: int | None) -> Plan:
        """Arguments and errors as of ``generate``."""
        out, workers = Path(out), workers or cores()
        if count < 1 or workers < 1:
            raise UnmixError("count and workers must be 1 or more")
        parent = _existing_parent(out)
        previous = _previous(out, sampler, count)
        return Plan(sampler, count, out, workers, parent, previous, _kept(out, previous, count))

    @property
    def missing(self) -> int:
        """Items that are still to be made."""
        return self.count - sum(record["count"] for record in self.kept.values())

    def is_complete(self, say: Callable[[str], None]) -> bool:
        """Whether nothing is left to do, which is said then."""
        if not (self.previous and self.previous["complete"]) or self.missing:
            return False
        say(f"{self.out}: complete, {self.count:,} items, every hash is right; nothing to do")
        return True

    def measure(self, pool: Pool, say: Callable[[str], None]) -> dict[str, np.ndarray]:
        """The first family of items; says what the missing ones take.

        Raises:
            UnmixError: the disk is too small for them.
        """
        sample, seconds = pool.result(pool.submit(_measure, self.count))
        missing, free = self.missing, disk_usage(self.parent).free
        needed = missing * item_bytes(sample)
        there = f" ({self.count - missing:,} are there)" if missing < self.count else ""
        duration = _time_text(missing * seconds / min(self.workers, cores()))
        say(
            f"{missing:,} items to make{there}: about {_bytes_text(needed)} "
            f"({_bytes_text(free)} free), about {duration} with workers: {self.workers}"
        )
        if needed * 1.01 + SPARE_BYTES > free:
            raise UnmixError(
                f"cannot write {self.out}: needs about {_bytes_text(needed)}, "
                f"but only {_bytes_text(free)} are free"
            )
        return sample


def item_bytes(sample: dict[str, np.ndarray]) -> int:
    """Bytes of one item of arrays (items, …)."""
    return sum(array[0].nbytes for array in sample.values())
