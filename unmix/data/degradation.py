"""What a real capture does to a recording: gain, latency, noise, a band limit, another rate.

Each kind is a function (recording, source, rng) -> recording of float32 (samples,) at 44.1 kHz.
"""

from __future__ import annotations

import numpy as np

from unmix.audio.io import SAMPLE_RATE, resample
from unmix.features import bandwidth
from unmix.recording import alignment, windows

GAIN_DB = 12.0
LATENCY_S = 0.5
NOISE_DB = 30.0, 80.0  # below the recording's RMS level
BAND_LIMIT_HZ = 14_000.0, 20_000.0
OTHER_RATE = 48_000
TRAINING_SHARES = {"latency": 0.15, "rate": 0.3, "band": 0.3, "noise": 0.7}


def _gain(recording, source, rng):
    """A gain that nobody wrote down."""
    return recording * np.float32(10 ** (rng.uniform(-GAIN_DB, GAIN_DB) / 20))


def _latency(recording, source, rng):
    """Late by an unknown time, then aligned as an analysis does it, with what it gets wrong."""
    late = np.pad(recording, (int(rng.uniform(0, LATENCY_S) * SAMPLE_RATE), 0))
    lag = alignment.match(late, source).lag
    return windows.fit_length(alignment.shift(late, lag), recording.size)


def _rate(recording, source, rng):
    """To another sample rate and back."""
    there = resample(recording, SAMPLE_RATE, OTHER_RATE)
    return windows.fit_length(resample(there, OTHER_RATE, SAMPLE_RATE), recording.size)


def _band(recording, source, rng):
    """The band limit of lossy coding."""
    return bandwidth.low_pass(recording, rng.uniform(*BAND_LIMIT_HZ))


def _noise(recording, source, rng):
    """A noise floor."""
    level = np.sqrt(np.mean(recording**2)) * 10 ** (-rng.uniform(*NOISE_DB) / 20)
    return recording + (level * rng.standard_normal(recording.size)).astype(np.float32)


KINDS = {"gain": _gain, "latency": _latency, "rate": _rate, "band": _band, "noise": _noise}


def constants() -> dict:
    """All that decides a degradation besides its random draws."""
    return {
        "gain_db": GAIN_DB,
        "latency_s": LATENCY_S,
        "noise_db": NOISE_DB,
        "band_limit_hz": BAND_LIMIT_HZ,
        "other_rate": OTHER_RATE,
        "training_shares": TRAINING_SHARES,
    }


def degrade(
    recording: np.ndarray, source: np.ndarray, rng: np.random.Generator, kind: str | None = None
) -> np.ndarray:
    """One kind of degradation; or, with None, each of TRAINING_SHARES with its probability.

    A gain is not among those: features are relative to the recording's level, and training hides
    the level from the network by another draw.

    Args:
        recording, source: float32 (samples,) at 44.1 kHz.
    """
    if kind is not None:
        return KINDS[kind](recording, source, rng)
    for name, share in TRAINING_SHARES.items():
        if rng.random() < share:
            recording = KINDS[name](recording, source, rng)
    return recording
