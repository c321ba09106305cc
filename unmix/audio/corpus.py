"""Folders of audio as material: random excerpts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unmix.audio.io import SAMPLE_RATE, read, resample
from unmix.errors import UnmixError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")


class Folder:
    """Random excerpts from the audio files below a folder (mono mix, 44.1 kHz).

    Raises:
        UnmixError: no folder, or no audio file in it.
    """

    def __init__(self, path):
        if not Path(path).is_dir():
            raise UnmixError(f"{path}: no such folder")
        below = sorted(Path(path).rglob("*"))
        self.files = [p for p in below if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file()]
        if not self.files:
            suffixes = ", ".join(AUDIO_SUFFIXES)
            raise UnmixError(f"{path}: no audio files ({suffixes}) below this folder")

    def excerpt(self, rng: np.random.Generator, samples: int) -> np.ndarray:
        """float32 (samples,); a shorter file is followed by silence. Level as in ``synthetic``."""
        audio, rate = read(self.files[rng.integers(len(self.files))])
        mono = resample(audio.mean(0), rate, SAMPLE_RATE)
        start = rng.integers(max(1, mono.size - samples + 1))
        cut = mono[start : start + samples]
        cut = np.pad(cut, (0, samples - cut.size))
        peak = np.abs(cut).max()
        if peak == 0:
            return cut
        return (cut * 10 ** (rng.uniform(-30, 0) / 20) / peak).astype(np.float32)
