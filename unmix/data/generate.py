"""Making a data set: samples from worker processes into shards, resumable at any point.

A sampler is an object that can be pickled, with ``config`` ("kind" and "seed" in it),
``fingerprint`` and ``item(i)``; or with ``family(j)``, which gives ``family_size`` items that
share work. What a worker computes depends on the sampler and the numbers of the items alone.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from unmix.data import shards
from unmix.data.plan import Plan, item_bytes, strays
from unmix.data.sampler import in_families, stack_items
from unmix.errors import UnmixError
from unmix.runtime.workers import Pool

SHARD_BYTES = 64_000_000
JOB_ITEMS = 5


def estimate(
    sampler, count: int, out, workers: int | None = None, say: Callable[[str], None] = print
) -> None:
    """Say how much disk and time ``generate`` would take; nothing is written.

    Args and Raises: as of ``generate``.
    """
    plan = Plan.of(sampler, count, out, workers)
    if not plan.is_complete(say):
        with Pool(sampler, 1) as pool:
            plan.measure(pool, say)


def generate(
    sampler,
    count: int,
    out,
    workers: int | None = None,
    shard_items: int | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """Write items 0 … count − 1 of a sampler to a folder, or finish what an earlier run began.

    Shards that are there and match their hashes are kept, also when ``count`` grew. The shards
    depend on the sampler, ``count`` and ``shard_items`` alone.

    Args:
        sampler: see the module.
        count: items in the data set; the last family may be cut.
        out: folder, made if need be.
        workers: processes; one for each core if None.
        shard_items: items in a shard, rounded up to whole families; if None, those of the data
            set that is there, or as many as fit into SHARD_BYTES.
        progress: a bar with the time left on stderr.
        say: takes lines for people (the estimate, what is kept, how to go on).

    Returns:
        The manifest.

    Raises:
        UnmixError: the folder holds something else, cannot be written or is too small for the
            data; or a worker died.
    """
    plan = Plan.of(sampler, count, out, workers)
    size = in_families(sampler, shard_items) if shard_items else None
    if plan.previous:
        held = plan.previous["shard_items"]
        if size not in (None, held):
            raise UnmixError(f"{out}: has shards of {held} items, not {size}; use another folder")
        size = held
    if plan.is_complete(say):
        return plan.previous
    with Pool(sampler, plan.workers) as pool:
        sample = plan.measure(pool, say)
        size = size or in_families(sampler, max(1, SHARD_BYTES // item_bytes(sample)))
        manifest = shards.new_manifest(sampler, count, size, shards.describe(sample))
        job_items = in_families(sampler, JOB_ITEMS)
        return _Making(pool, manifest, plan.kept, plan.workers, job_items).write(
            plan.out, progress, say
        )


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
            for stray in strays(out):
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
