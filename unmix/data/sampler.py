"""What the samplers of pairs and chains share: the configuration that decides every bit."""

from __future__ import annotations

import numpy as np

from unmix.audio import synthetic
from unmix.data import fingerprint

PEAK_RANGE_DB = (-30.0, 6.0)
PAIRS_STREAM, CHAINS_STREAM, TEST_STREAM = 1, 2, 3  # random streams, apart for each purpose


def peak_in_range(audio: np.ndarray) -> bool:
    """Whether the peak of a render lies within PEAK_RANGE_DB."""
    peak = np.abs(audio).max()
    return 10 ** (PEAK_RANGE_DB[0] / 20) <= peak <= 10 ** (PEAK_RANGE_DB[1] / 20)


class Sampler:
    """Items of a data set, each fixed by the sampler's configuration and the item's number.

    Args:
        config: options and constants of the subclass, "kind" and "seed" among them; what all
            samplers rest on joins them.
        names: the effects that items are rendered with.
    """

    def __init__(self, config: dict, names):
        shared = {
            "controls": fingerprint.controls(names),
            "effect_constants": fingerprint.effect_constants(names),
            "synthetic": synthetic.VERSION,
            **fingerprint.fixed_signals(),
        }
        self.config: dict = fingerprint.plain(shared | config)

    @property
    def fingerprint(self) -> str:
        """Changes when anything in ``config`` changes."""
        return fingerprint.digest(self.config)


def family_size(sampler) -> int:
    """Items that a sampler makes together; 1 where it has no families."""
    return getattr(sampler, "family_size", 1)


def in_families(sampler, items: int) -> int:
    """``items`` rounded up to whole families."""
    size = family_size(sampler)
    return -(-items // size) * size


def stack_items(sampler, first: int, count: int) -> dict[str, np.ndarray]:
    """Items first … first + count − 1 as {name: (count, …)}; ``first`` begins a family."""
    size = family_size(sampler)
    if hasattr(sampler, "family"):
        families = range(first // size, -(-(first + count) // size))
        items = [item for j in families for item in sampler.family(j)][:count]
    else:
        items = [sampler.item(i) for i in range(first, first + count)]
    return {name: np.stack([item[name] for item in items]) for name in items[0]}
