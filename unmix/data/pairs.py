"""Random (dry, wet) pairs of one effect, for its proxy."""

from __future__ import annotations

import numpy as np

from unmix import effects
from unmix.audio import corpus, signals, synthetic
from unmix.audio.io import SAMPLE_RATE
from unmix.data.sampler import PAIRS_STREAM, Sampler

QUIET_SHARE, QUIET_RANGE_DB = 0.3, (-30.0, 0.0)  # peaks down to −60 dBFS


class PairSampler(Sampler):
    """Pairs (dry, wet) of one effect with random knobs on random material.

    Args:
        effect: its name.
        seed: with the item's number it decides everything.
        seconds: length of an excerpt.
        folder: a folder of audio that a share of the material comes from.
        folder_share: that share.
        probe_share: share of excerpts from the probe, which refinement mostly renders.

    Raises:
        UnmixError: no such effect, no folder, or no audio in it.
    """

    def __init__(
        self,
        effect: str,
        seed: int,
        seconds: float = 1.5,
        folder=None,
        folder_share: float = 0.5,
        probe_share: float = 0.2,
    ):
        self.effect = effects.get(effect)
        self.samples = round(seconds * SAMPLE_RATE)
        self.folder = corpus.Folder(folder) if folder else None
        config = {
            "kind": "pairs",
            "effect": effect,
            "seed": seed,
            "seconds": seconds,
            "folder": str(folder) if folder else None,
            "folder_share": folder_share,
            "probe_share": probe_share,
            "quiet_share": QUIET_SHARE,
            "quiet_range_db": QUIET_RANGE_DB,
        }
        super().__init__(config, [effect])

    def _dry(self, rng: np.random.Generator) -> np.ndarray:
        if self.folder and rng.random() < self.config["folder_share"]:
            dry = self.folder.excerpt(rng, self.samples)
        elif rng.random() < self.config["probe_share"]:
            probe = signals.probe()
            start = rng.integers(max(1, probe.size - self.samples))
            piece = probe[start : start + self.samples]
            return np.pad(piece, (0, self.samples - piece.size))
        else:
            dry = synthetic.synthetic(rng, self.samples)
        if rng.random() < QUIET_SHARE:
            dry = dry * np.float32(10 ** (rng.uniform(*QUIET_RANGE_DB) / 20))
        return dry

    def item(self, i: int) -> dict[str, np.ndarray]:
        """dry (T,) and wet (T,) at 44.1 kHz, knobs (K,) in 0…1, switches (S,) option numbers."""
        rng = np.random.default_rng([PAIRS_STREAM, self.config["seed"], i])
        dry = self._dry(rng)
        settings = self.effect.sample(rng)
        knobs, switches = self.effect.to_unit(settings)
        wet = self.effect.render(dry, SAMPLE_RATE, settings)
        return {"dry": dry, "wet": wet, "knobs": knobs, "switches": switches}
