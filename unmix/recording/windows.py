"""Which excerpt of a recording is analysed."""

from __future__ import annotations

import numpy as np

from unmix.audio.io import SAMPLE_RATE
from unmix.features.spectra import WINDOW

HOP = SAMPLE_RATE // 10
CHECKS = 3
RANGE_DB, START_SHARE = 60.0, 0.9


def fit_length(signal: np.ndarray, samples: int) -> np.ndarray:
    """(n,) -> (samples,): cut, or followed by silence."""
    return np.ascontiguousarray(np.pad(signal[:samples], (0, max(0, samples - signal.size))))


def _energies(signal: np.ndarray) -> np.ndarray:
    """Of each whole step of HOP samples."""
    steps = signal[: signal.size // HOP * HOP].reshape(-1, HOP)
    return np.einsum("ij,ij->i", steps, steps, dtype=np.float64)


def loudest(signal: np.ndarray, samples: int) -> int:
    """Start of the window of most energy, whole steps of HOP; the very start if that has a quarter
    of it."""
    if signal.size <= samples:
        return 0
    total = np.concatenate([[0.0], np.cumsum(_energies(signal))])
    energy = total[samples // HOP :] - total[: -(samples // HOP)]
    return 0 if energy[0] >= 0.25 * energy.max() else HOP * int(energy.argmax())


def windows(recording: np.ndarray, source: np.ndarray) -> list[int]:
    """Starts of windows that tell most, the best first, without overlap; at most 1 + CHECKS.

    A window tells much where both signals are well above their floor most of the time, at levels
    that differ: the mean of the lower level of the two in dB over RANGE_DB below its highest, plus
    its standard deviation, over steps of HOP. The very start of a file, where nothing rings on and
    an LFO stands where its knob says, is the best if it reaches START_SHARE of the highest figure.
    """
    if recording.size <= WINDOW:
        return [0]
    levels = []
    for signal in (recording, source):
        level = 10 * np.log10(_energies(signal) / HOP + 1e-15)
        levels.append(np.maximum(level - level.max(), -RANGE_DB) + RANGE_DB)
    frames = np.lib.stride_tricks.sliding_window_view(np.minimum(*levels), WINDOW // HOP)
    score = frames.mean(1) + frames.std(1)
    if score[0] >= START_SHARE * score.max():
        score[0] = np.inf
    found = []
    while len(found) <= CHECKS and score.max() > 0:
        best = int(score.argmax())
        found.append(best * HOP)
        score[max(0, best - WINDOW // HOP + 1) : best + WINDOW // HOP] = 0
    return found or [0]


def window_notes(start: int, samples: int) -> list[str]:
    if samples <= WINDOW:
        return []
    first, last, whole = (n / SAMPLE_RATE for n in (start, start + WINDOW, samples))
    return [f"The part from {first:.1f} s to {last:.1f} s of {whole:.1f} s was analysed."]
