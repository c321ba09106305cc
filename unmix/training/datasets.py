"""What the inverse model learns from: chains on disk or in memory, drawn in batches."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from unmix.chain import MAX_LENGTH
from unmix.data import fingerprint
from unmix.data.chains import FAMILY, ChainOptions, ChainSampler
from unmix.data.reader import Reader
from unmix.data.sampler import stack_items
from unmix.effects import EffectSet
from unmix.errors import UnmixError
from unmix.features import packing, spec
from unmix.training import specaugment

VALIDATION_SEED = 1_000_000  # added to the run's seed; `evaluate` uses seeds below it
HIDDEN_SHARES = (0.03, 0.3)  # of a training batch: on the probe, on other sources
VALIDATION_SHARES = {"probe": 0.8, "synthetic": 0.2}


@dataclass(frozen=True)
class Dropout:
    """What a training batch withholds from the network.

    Args:
        masked: share of the items whose features are masked in part, see specaugment.py.
        hidden_shares: source dropout: the share of items on the probe whose source is hidden, and
            the share of the others.
        level_unknown_share: share whose recording level is hidden (unknown capture gain).
    """

    masked: float = 0.0
    hidden_shares: tuple[float, float] = HIDDEN_SHARES
    level_unknown_share: float = 0.25


class ChainData:
    """Items of chains data sets, as packing.pack leaves them; batches are float32.

    Args:
        sets: each gives items by their numbers in it, ``load(names, indices)``, and knows its
            ``names`` and its ``count``: Readers, whose shards stay on disk and come to memory as
            they are asked for, Arrays, or Resident. Their items are numbered through.
        dropout: what ``source_dropout`` withholds.
    """

    def __init__(self, sets, dropout: Dropout = Dropout()):
        self.sets, self.dropout = list(sets), dropout

    @property
    def ends(self) -> np.ndarray:
        """The first number behind each set's items."""
        return np.cumsum([each.count for each in self.sets])

    @property
    def count(self) -> int:
        """Items that are there."""
        return int(self.ends[-1])

    @staticmethod
    def open(
        *folders,
        dropout: Dropout = Dropout(),
        resident: str | None = None,
        without=(),
    ) -> tuple[ChainData, list[dict]]:
        """Data sets written by ``unmix gen-data --chains`` as ChainData, and their configs.

        Args:
            dropout: what ``source_dropout`` withholds.
            resident: a device in whose memory they are kept; unfinished sets will do then.
            without: tensors that need not be there.

        Raises:
            UnmixError: no such set, sets of different effects, or a set whose features, controls
                or probe are not those of this program.
        """
        readers = [Reader(folder, unfinished=resident is not None) for folder in folders]
        configs = [reader.manifest["config"] for reader in readers]
        for folder, config in zip(folders, configs, strict=True):
            if config.get("kind") != "chains":
                raise UnmixError(
                    f"{folder}: holds {config.get('kind')}, not chains; see gen-data --help"
                )
            _check_made_alike(folder, config, configs[0])
        if resident is not None:
            readers = [Resident(reader, resident, without) for reader in readers]
        return ChainData(readers, dropout), configs

    @staticmethod
    def first_of(sampler: ChainSampler, count: int) -> ChainData:
        """The first items of a sampler, in memory."""
        return ChainData([Arrays(stack_items(sampler, 0, count))])

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Numbers of random items, ascending: a beginning of a family's chain and its
        order-swapped negative in turn.

        Two chains that differ in their order alone meet in one batch then. A beginning of one
        effect has no negative: the chain of five comes with it.
        """
        pairs = -(-count // 2)
        families = rng.integers(-(-self.count // FAMILY), size=pairs)
        first = FAMILY * families + rng.integers(MAX_LENGTH, size=pairs)
        items = np.stack([first, first + MAX_LENGTH - 1], 1).ravel()[:count]
        return np.sort(np.minimum(items, self.count - 1))

    def place(self, item: int) -> tuple[int, int]:
        """Of an item: the number of its set, and its number there."""
        n = int(np.searchsorted(self.ends, item, "right"))
        return n, item - int(self.ends[n]) + self.sets[n].count

    def batch(self, indices: np.ndarray, device, without=()) -> dict[str, torch.Tensor]:
        """Items in ascending order as tensors, without those named."""
        first, parts = 0, []
        for each, end in zip(self.sets, self.ends, strict=True):
            here = indices[(indices >= first) & (indices < end)] - first
            if len(here):
                parts.append(each.load([n for n in each.names if n not in without], here))
            first = end
        result = {}
        for name in parts[0]:
            values = torch.cat([torch.as_tensor(part[name]) for part in parts])
            result[name] = packing.unpack(name, values.to(device, non_blocking=True))
        return result | {"level_known": torch.ones_like(result["known"])}

    def source_dropout(self, batch: dict) -> dict:
        """A batch with sources and levels hidden and features masked, by torch's generator."""

        def left(share) -> torch.Tensor:
            return (torch.rand_like(batch["known"]) >= share).float()

        dropout = self.dropout
        on_probe, elsewhere = dropout.hidden_shares
        result = specaugment.mask(batch, dropout.masked) if dropout.masked else dict(batch)
        result["known"] = batch["known"] * left(
            torch.where(batch["on_probe"] > 0, on_probe, elsewhere)
        )
        result["level_known"] = left(dropout.level_unknown_share)
        return result


def _check_made_alike(folder, config: dict, first: dict) -> None:
    """UnmixError unless a set goes with the first one, and with this program."""
    names = config["effects"]
    try:
        EffectSet.of(names)
    except UnmixError as error:
        raise UnmixError(f"{folder}: {error}") from None
    if names != first["effects"]:
        raise UnmixError(f"{folder}: made with other effects than the first set")
    now = {
        "features": spec.VERSION,
        "controls": fingerprint.controls(names),
        **fingerprint.fixed_signals(),
    }
    for key, value in now.items():
        if config.get(key) != value:
            what = {"controls": "ranges of controls", "fixed_signals": "test signals"}.get(key, key)
            raise UnmixError(f"{folder}: made with other {what}; make it again with gen-data")


class Arrays:
    """A data set in memory: {name: (N, …)} as ``ChainSampler.item`` gives them."""

    def __init__(self, arrays: dict):
        self.arrays, self.count, self.names = arrays, len(arrays["level"]), tuple(arrays)

    def load(self, names, indices) -> dict[str, np.ndarray]:
        """As of a Reader."""
        return {name: self.arrays[name][indices] for name in names}


class Resident:
    """A data set in the memory of a device, with what ``gen-data`` adds to it while it is in use.

    Args:
        reader: of the set, finished or not.
        device: that holds all of its items.
        without: tensors that are left out.
    """

    LOOK_S = 2.0  # between looks for new shards

    def __init__(self, reader: Reader, device: str, without=()):
        self.reader, self.device, self.count = reader, device, 0
        self.names = tuple(name for name in reader.names if name not in without)
        self.tensors: dict[str, torch.Tensor] = {}
        self.looked = -math.inf
        if reader.count == 0:
            raise UnmixError(f"{reader.folder}: no shard yet; try again when the first is there")
        self.grow()

    def grow(self) -> None:
        """Take up what has come, unless the last look was a moment ago."""
        if time.monotonic() - self.looked < self.LOOK_S:
            return
        self.looked = time.monotonic()
        taken = len(self.reader.records) if self.count else 0
        if not self.reader.manifest["complete"]:
            self.reader.refresh()
        for shard in self.reader.shards(self.names, taken):
            end = self.count + len(shard["level"])
            for name, array in shard.items():
                values = torch.from_numpy(array)
                if name not in self.tensors:
                    room = (self.reader.manifest["count"], *values.shape[1:])
                    self.tensors[name] = torch.empty(room, dtype=values.dtype, device=self.device)
                self.tensors[name][self.count : end] = values
            self.count = end

    def load(self, names, indices) -> dict[str, torch.Tensor]:
        """As of a Reader, on the device."""
        rows = torch.from_numpy(np.asarray(indices)).to(self.device)
        return {name: self.tensors[name][rows] for name in names}


def validation_data(seed: int, count: int, effects: EffectSet | None = None) -> ChainData:
    """Chains that no training stream contains, of effects of a set (all installed ones if None):
    lengths 1–5 in equal parts, mostly on the probe."""
    options = ChainOptions(degraded=0.0, independent=True, effects=effects)
    sampler = ChainSampler(VALIDATION_SEED + seed, VALIDATION_SHARES, options)
    return ChainData.first_of(sampler, count)
