"""Making a data set: samples from worker processes into shards, resumable at any point.

A sampler is an object that can be pickled, with ``config`` ("kind" and "seed" in it),
``fingerprint`` and ``item(i)``; or with ``family(j)``, which gives ``family_size`` items that
share work. What a worker computes depends on the sampler and the numbers of the items alone.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from shutil import disk_usage

import numpy as np

from unmix.data import reader, shards
from unmix.errors import UnmixError
from unmix.runtime.workers import Pool, cores

SHARD_BYTES = 64_000_000
JOB_ITEMS = 5
TIMED_SECONDS = 0.5
SPARE_BYTES = 16_000_000  # left free on the disk, besides 1 % of the data


def _family_size(sampler) -> int:
    return getattr(sampler, "family_size", 1)


def _in_families(sampler, items: int) -> int:
    """``items`` rounded up to whole families."""
    size = _family_size(sampler)
    return -(-items // size) * size


def stack_items(sampler, first: int, count: int) -> dict[str, np.ndarray]:
    """Items first … first + count − 1 as {name: (count, …)}; ``first`` begins a family."""
    size = _family_size(sampler)
    if hasattr(sampler, "family"):
        families = range(first // size, -(-(first + count) // size))
        items = [item for j in families for item in sampler.family(j)][:count]
    else:
        items = [sampler.item(i) for i in range(first, first + count)]
    return {name: np.stack([item[name] for item in items]) for name in items[0]}


def _measure(sampler, count: int) -> tuple[dict[str, np.ndarray], float]:
    """The first family, and the seconds that an item takes once everything is warm."""
    size = _family_size(sampler)
    sample = stack_items(sampler, 0, size)
    start, done = time.perf_counter(), 0
    while done == 0 or (time.perf_counter() - start < TIMED_SECONDS and done < count):
        stack_items(sampler, done, size)
        done += size
    return sample, (time.perf_counter() - start) / done


def _strays(folder: Path) -> list[Path]:
    """Temporary files that a killed run left."""
    return [*folder.glob(".shard-*"), *folder.glob(f".{Path(shards.MANIFEST).stem}-*")]


def _previous(out: Path, sampler, count: int) -> dict | None:
    """The manifest in ``out``, or None in a new or empty folder; UnmixError if it is not ours."""
    if not out.exists() or set(out.iterdir()) <= set(_strays(out)):
        return None
    manifest = reader.read_manifest(out)
    if manifest["unmix"] != version("unmix"):
        made = manifest["unmix"]
        raise UnmixError(
            f"{out}: begun by unmix {made}, this is {version('unmix')}; use another folder"
        )
    if manifest["fingerprint"] != sampler.fingerprint:
        old, new = manifest["config"], sampler.config
        keys = [k for k in sorted(old.keys() | new.keys()) if old.get(k) != new.get(k)]
        what = (
            ", ".join(f"{k} {old.get(k)!r}, not {new.get(k)!r}" for k in keys) or "other settings"
        )
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


def generate(
    sampler,
    count: int,
    out,
    workers: int | None = None,
    shard_items: int | None = None,
    progress: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict | None:
    """Write items 0 … count − 1 of a sampler to a folder, or finish what an earlier run began.

    Shards that are there and match their hashes are kept, also when ``count`` grew. The bytes of
    the folder depend on the sampler, ``count`` and ``shard_items`` alone.

    Args:
        sampler: see the module.
        count: items in the data set; the last family may be cut.
        out: folder, made if need be.
        workers: processes; one for each core if None.
        shard_items: items in a shard, rounded up to whole families; if None, those of the data
            set that is there, or as many as fit into SHARD_BYTES.
        progress: a bar with the time left on stderr.
        dry_run: only say what it would take; nothing is written.
        say: takes lines for people (the estimate, what is kept, how to go on).

    Returns:
        The manifest; None from a dry run.

    Raises:
        UnmixError: the folder holds something else, cannot be written or is too small for the
            data; or a worker died.
    """
    out = Path(out)
    workers = workers or cores()
    if count < 1 or workers < 1:
        raise UnmixError("count and workers must be 1 or more")
    parent = _existing_parent(out)
    previous = _previous(out, sampler, count)
    size = _in_families(sampler, shard_items) if shard_items else None
    if previous and size not in (None, previous["shard_items"]):
        held = previous["shard_items"]
        raise UnmixError(f"{out}: has shards of {held} items, not {size}; use another folder")
    kept = _kept(out, previous, count)
    missing = count - sum(record["count"] for record in kept.values())
    if previous and previous["complete"] and not missing:
        say(f"{out}: complete, {count:,} items, every hash is right; nothing to do")
        return None if dry_run else previous
    with Pool(sampler, 1 if dry_run else workers) as pool:
        sample, seconds = pool.result(pool.submit(_measure, count))
        item_bytes = sum(array[0].nbytes for array in sample.values())
        free = disk_usage(parent).free
        needed = missing * item_bytes
        there = f" ({count - missing:,} are there)" if missing < count else ""
        duration = _time_text(missing * seconds / min(workers, cores()))
        say(
            f"{missing:,} items to make{there}: about {_bytes_text(needed)} "
            f"({_bytes_text(free)} free), about {duration} with workers: {workers}"
        )
        if needed * 1.01 + SPARE_BYTES > free:
            raise UnmixError(
                f"cannot write {out}: needs about {_bytes_text(needed)}, "
                f"but only {_bytes_text(free)} are free"
            )
        if dry_run:
            return None
        if previous:
            size = previous["shard_items"]
        size = size or _in_families(sampler, max(1, SHARD_BYTES // item_bytes))
        manifest = shards.new_manifest(sampler, count, size, shards.describe(sample))
        made = _Making(pool, manifest, kept, workers, _in_families(sampler, JOB_ITEMS))
        return made.write(out, progress, say)


class _Making:
    """The missing shards, made in order; the manifest on disk is true at every moment.

    Args:
        pool: of workers that hold the sampler.
        manifest: a new one.
        kept: records of the shards that are there, by number.
        workers: how many there are in the pool.
        job_items: whole families that a worker makes at once.
    """

    def __init__(self, pool: Pool, manifest: dict, kept: dict, workers: int, job_items: int):
        self.pool, self.manifest, self.records = pool, manifest, dict(kept)
        self.jobs_ahead, self.job_items = 3 * workers, job_items

    @property
    def done(self) -> int:
        return sum(record["count"] for record in self.records.values())

    def write(self, out: Path, progress: bool, say) -> dict:
        """Write everything that is missing and return the manifest."""
        from tqdm import tqdm

        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnmixError(f"cannot write {out}: {error.strerror}") from None
        count, size = self.manifest["count"], self.manifest["shard_items"]
        bar = tqdm(
            total=count,
            initial=self.done,
            unit="item",
            disable=not progress,
            mininterval=0.2 if sys.stderr.isatty() else 10,
        )
        with shards.locked(out), bar:
            for stray in _strays(out):
                stray.unlink()
            self._publish(out)
            try:
                for number, stacked in self._shards(bar.update):
                    record = shards.write_shard(
                        out, number, number * size, stacked, self.manifest["fingerprint"]
                    )
                    self.records[number] = record
                    self._publish(out)
            except KeyboardInterrupt:
                bar.close()
                say(
                    f"stopped with {self.done:,} of {count:,} items on disk; "
                    "run the same command again to go on"
                )
                raise
        return self.manifest

    def _publish(self, out: Path) -> None:
        self.manifest["shards"] = [self.records[number] for number in sorted(self.records)]
        self.manifest["complete"] = self.done == self.manifest["count"]
        shards.write_manifest(out, self.manifest)

    def _jobs(self) -> Iterator[tuple[int, int, int, bool]]:
        """(shard's number, first item, items, whether the shard ends with it)."""
        count, size = self.manifest["count"], self.manifest["shard_items"]
        for number in range(-(-count // size)):
            if number not in self.records:
                end = min((number + 1) * size, count)
                for first in range(number * size, end, self.job_items):
                    items = min(self.job_items, end - first)
                    yield number, first, items, first + items == end

    def _shards(self, update: Callable[[int], None]) -> Iterator[tuple[int, dict]]:
        """(number, stacked items) of each missing shard, its jobs spread over the workers.

        A bounded number of jobs is under way, so that memory holds little more than one shard.
        """
        upcoming = self._jobs()
        pending: deque = deque()
        parts: list[dict[str, np.ndarray]] = []
        while True:
            while len(pending) < self.jobs_ahead and (job := next(upcoming, None)):
                number, first, items, last = job
                future = self.pool.submit(stack_items, first, items)
                pending.append((number, items, last, future))
            if not pending:
                return
            number, items, last, future = pending.popleft()
            parts.append(self.pool.result(future))
            update(items)
            if last:
                yield number, {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
                parts.clear()
