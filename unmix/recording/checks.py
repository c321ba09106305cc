"""What is wrong with a recording before it is compared: clipped, silent, too short, stereo."""

from __future__ import annotations

import numpy as np

from unmix.audio.io import SAMPLE_RATE, rms_db
from unmix.errors import UnmixError

MIN_SAMPLES = 4410  # 0.1 s
SILENCE_DB = -90.0  # peak below which a recording counts as silent
CLIPPED_SHARE = 1e-4


def to_mono(channels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """(channels, samples) -> (samples,) and remarks: the mean, or the loudest if that cancels."""
    count = len(channels)
    if count == 1:
        return channels[0], []
    mean = channels.mean(0)
    levels = [rms_db(channel) for channel in channels]
    if rms_db(mean) < max(levels) - 30:
        loudest = int(np.argmax(levels))
        return channels[loudest], [
            f"The {count} channels cancel each other; channel {loudest + 1} alone was analysed."
        ]
    if np.array_equal(channels, np.broadcast_to(channels[:1], channels.shape)):
        return channels[0], [f"The {count} channels are the same; one was analysed."]
    return mean, [f"The mean of the {count} channels was analysed."]


def check_recording(mono: np.ndarray, sample_rate: int) -> list[str]:
    """Remarks on a recording (samples,); UnmixError if there is nothing to analyse in it."""
    if mono.size * SAMPLE_RATE < MIN_SAMPLES * sample_rate:
        raise UnmixError(f"holds {mono.size} samples; at least 0.1 s is needed")
    peak = float(np.abs(mono).max())
    if not np.isfinite(peak):
        raise UnmixError("holds NaN or infinite samples; export it again")
    if peak < 10 ** (SILENCE_DB / 20):
        raise UnmixError("is silent; check the cable and the recording level")
    clipped = float(np.mean(np.abs(mono) >= 0.9999 * peak))
    if 0.99 <= peak <= 1.0 and clipped > CLIPPED_SHARE:
        return [
            f"{100 * clipped:.2g} % of the samples lie at full scale: unless an effect did that, "
            "the recording is clipped; record it at a lower level."
        ]
    return []
