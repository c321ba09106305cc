"""The dry sounds that chains are sent through: fixed test signals, synthetic material, folders."""

from __future__ import annotations

import numpy as np

from unmix.audio import corpus, signals, synthetic
from unmix.errors import UnmixError
from unmix.features import spectra

SOURCE_SHARES = {"probe": 0.6, "noise": 0.03, "chirp": 0.03, "impulse": 0.02, "synthetic": 0.32}


class Sources:
    """Random sources of one excerpt's length.

    Args:
        shares: probability of each kind, relative to the others; keys of SOURCE_SHARES.
        folder: of audio files, or None.
        folder_share: of the share of "synthetic", that comes from the folder instead.

    Raises:
        UnmixError: an unknown kind of source, no folder, or no audio in it.
    """

    def __init__(self, shares: dict[str, float], folder, folder_share: float):
        if unknown := set(shares) - set(SOURCE_SHARES):
            raise UnmixError(f"no source {sorted(unknown)[0]!r}; use {', '.join(SOURCE_SHARES)}")
        # in a fixed order: a configuration that comes back from a file has its keys sorted
        self.kinds = [kind for kind in SOURCE_SHARES if kind in shares]
        weights = np.array([shares[kind] for kind in self.kinds])
        self.probabilities = weights / weights.sum()
        self.folder = corpus.Folder(folder) if folder else None
        self.folder_share = folder_share

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """float32 (WINDOW,) at 44.1 kHz."""
        kind = str(rng.choice(self.kinds, p=self.probabilities))
        if kind != "synthetic":
            return signals.fixed(kind)
        if self.folder and rng.random() < self.folder_share:
            return self.folder.excerpt(rng, spectra.WINDOW)
        return synthetic.synthetic(rng, spectra.WINDOW)
