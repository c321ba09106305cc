"""How the amplitudes of a signal's samples are distributed: what a wave shaper leaves in them.

A clipped wave stands at its peak for long, a folded one turns back there, and both have corners;
a filter or a tail of echoes behind the shaper blurs all that. No spectrum shows it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit

from unmix.audio.io import SAMPLE_RATE

FRAME = 1024
GROUPS = 4  # of frames, by loudness
SILENCE = 1e-3  # of the loudest frame's RMS: frames below are left out
ORDERS = 3  # the samples, their differences, and the differences of these
QUANTILES = 17
BINS, WHOLE_BINS = 16, 64  # of heights from 0 to the peak, of a frame and of the whole signal
NEAR_PEAK = 0.9
FLOOR, WHOLE_FLOOR = 1e-3, 1e-5  # added to a number of a group, and to a share of the whole
TINY = 1e-9  # RMS or peak of silence
AMPLITUDES = GROUPS * (ORDERS * QUANTILES + BINS + 1) + WHOLE_BINS


@njit(cache=True, nogil=True)
def _heights(frames, near, shares, slopes):
    """Of frames (n, samples): shares of the samples by height, (n, bins) of zeros before, and the
    mean difference at heights above ``near``, (n,)."""
    count, bins = frames.shape[1], shares.shape[1]
    for t in range(frames.shape[0]):
        peak = np.float32(TINY)
        for x in frames[t]:
            peak = max(peak, abs(x))
        total, found = np.float32(0), 0
        for n in range(count):
            height = abs(frames[t, n]) / peak
            shares[t, min(int(height * bins), bins - 1)] += np.float32(1) / count
            if n > 0 and height > near:
                total += abs(frames[t, n] - frames[t, n - 1])
                found += 1
        slopes[t] = total / max(found, 1)


def heights(frames: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Of frames (n, samples): shares of the samples in equal bins up to the frame's peak (n, bins),
    and the mean |difference| to the sample before near the peak (n,)."""
    shares, slopes = np.zeros((len(frames), bins), np.float32), np.empty(len(frames), np.float32)
    _heights(frames, np.float32(NEAR_PEAK), shares, slopes)
    return shares, slopes


def _rms(frames: np.ndarray) -> np.ndarray:
    """(n, samples) -> (n, 1)."""
    return np.sqrt(np.square(frames).mean(-1, keepdims=True)) + np.float32(TINY)


def quantile_places(samples: int) -> np.ndarray:
    """Where the QUANTILES stand among so many samples in ascending order."""
    return np.linspace(0, samples - 1, QUANTILES).round().astype(int)


def amplitude_histogram(audio: np.ndarray) -> np.ndarray:
    """Distributions of the samples' amplitudes in frames of FRAME samples, by how loud these are.

    Args:
        audio: float32 (samples,), at least FRAME of them.

    Returns:
        float32 (AMPLITUDES,), logarithms. For each of GROUPS of frames, the loudest first, means
        of: QUANTILES of |x| relative to its RMS, for the samples and their differences up to the
        order ORDERS − 1; the shares of the samples in BINS heights up to the frame's peak; the
        |difference| near the peak, relative to the RMS of differences. Then the shares in
        WHOLE_BINS heights up to the peak of all.
    """
    frames = audio[: audio.size // FRAME * FRAME].reshape(-1, FRAME)
    rms = _rms(frames)[:, 0]
    loudest = np.argsort(-rms, kind="stable")
    frames = frames[loudest[rms[loudest] >= SILENCE * rms.max()]]
    shares, slopes = heights(frames, BINS)
    columns = []
    for order in range(ORDERS):
        sizes = np.abs(np.diff(frames, order))
        scale = _rms(sizes)
        if order == 1:
            slopes = slopes[:, None] / scale
        sizes.sort(-1)
        columns.append(sizes[:, quantile_places(sizes.shape[-1])] / scale)
    columns = np.concatenate([*columns, shares, slopes], 1)
    group_of = np.arange(len(frames)) * GROUPS // len(frames)
    found = []
    for group in range(GROUPS):
        chosen = columns[group_of == group]
        # with fewer frames than groups, a group without one is as the one before
        found.append(np.log(chosen.mean(0) + FLOOR) if len(chosen) else found[-1])
    whole, _ = heights(audio[None], WHOLE_BINS)
    return np.concatenate([*found, np.log(whole[0] + WHOLE_FLOOR)]).astype(np.float32)


@cache
def reference() -> np.ndarray:
    """The histogram of dull noise that dies away by 40 dB in 4 s, which most signals are near."""
    samples, dull = 4 * SAMPLE_RATE, 8
    noise = np.random.default_rng(0).standard_normal(samples + dull - 1)
    noise = np.convolve(noise, np.ones(dull), "valid") * np.geomspace(1, 0.01, samples)
    return amplitude_histogram(noise.astype(np.float32))
