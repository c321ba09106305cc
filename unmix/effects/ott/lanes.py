"""OTT's kernels for LANES sounds side by side: split a block, follow its bands, find the gains."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from unmix.effects.batch import LANES
from unmix.effects.ott.gain_law import POWER_FLOOR, _law_db


@njit(cache=True, fastmath=True, nogil=True)
def split(x, low1, high1, low2, high2, kept, low_band, mid_band, high_band):
    """The bands of a block x (samples, LANES), as ``device._follow`` splits it; ``kept``
    (9, 2, LANES) are the sections' states from block to block."""
    a1, a2 = low2[3], low2[4]
    s = np.zeros((9, 2, LANES))  # known to be nobody else's: then all lanes are taken at once
    s[:] = kept
    for t in range(x.shape[0]):
        for n in range(LANES):
            low = float(x[t, n])
            for k in range(2):
                v = low1[0] * low + s[k, 0, n]
                s[k, 0, n] = low1[1] * low - low1[3] * v + s[k, 1, n]
                s[k, 1, n] = low1[2] * low - low1[4] * v
                low = v
            v = a2 * low + s[2, 0, n]
            s[2, 0, n] = a1 * low - a1 * v + s[2, 1, n]
            s[2, 1, n] = low - a2 * v
            low_band[t, n] = v
        for n in range(LANES):
            high = float(x[t, n])
            for k in range(3, 5):
                v = high1[0] * high + s[k, 0, n]
                s[k, 0, n] = high1[1] * high - high1[3] * v + s[k, 1, n]
                s[k, 1, n] = high1[2] * high - high1[4] * v
                high = v
            mid = high
            for k in range(5, 7):
                v = low2[0] * mid + s[k, 0, n]
                s[k, 0, n] = low2[1] * mid - low2[3] * v + s[k, 1, n]
                s[k, 1, n] = low2[2] * mid - low2[4] * v
                mid = v
            for k in range(7, 9):
                v = high2[0] * high + s[k, 0, n]
                s[k, 0, n] = high2[1] * high - high2[3] * v + s[k, 1, n]
                s[k, 1, n] = high2[2] * high - high2[4] * v
                high = v
            mid_band[t, n], high_band[t, n] = mid, high
    kept[:] = s


@njit(cache=True, fastmath=True, nogil=True)
def follow(band, detector_gain, attack, release, env, powers):
    """Detected powers of a block of one band (samples, LANES), into ``powers``."""
    e = np.zeros(LANES)
    e[:] = env
    for t in range(band.shape[0]):
        for n in range(LANES):
            up, down = attack[n], release[n]  # read apart, so that all lanes are taken at once
            rise = detector_gain * band[t, n] * band[t, n] - e[n]
            e[n] += rise * (up if rise > 0 else down)
            powers[t, n] = e[n] + POWER_FLOOR
    env[:] = e


@njit(cache=True, fastmath=True, nogil=True)
def to_gains(logs, above, below, down, fixed_db, amount):
    """Turns the logarithms of the powers of a block of one band (samples, LANES) into those of its
    gains, in place; all in 32 bits."""
    power_db, to_log = np.float32(10 / math.log(10)), np.float32(math.log(10) / 20)
    for t in range(logs.shape[0]):
        for n in range(LANES):
            law = _law_db(power_db * logs[t, n], above[n], below[n], down)
            logs[t, n] = to_log * amount[n] * (fixed_db + law)
