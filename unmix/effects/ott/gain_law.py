"""Figures of OTT's stock preset, its filters and the law from a band's level to its gain."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

BAND_NAMES = ("low", "mid", "high")
CROSSOVERS_HZ = (88.3, 2_500.0)
INPUT_GAIN_DB = 5.2
OUTPUT_GAIN_DB = (10.3, 5.7, 10.3)
ATTACK_S = (0.0478, 0.0224, 0.0135)
RELEASE_S = (0.282, 0.282, 0.132)
DOWN_SLOPE = (1 - 1 / 66.7, 1 - 1 / 66.7, 1.0)  # dB taken away per dB above the threshold
UP_SLOPE = 1 - 1 / 4.17  # dB added per dB below the threshold
MAX_UP_DB = 36.0
KNEE_DB = 3.0
LAW = np.float32(UP_SLOPE), np.float32(MAX_UP_DB), np.float32(KNEE_DB / 2)  # gains: in 32 bits
POWER_FLOOR = 1e-12


def butterworth2(cutoff_hz: float, sample_rate: float, high: bool) -> tuple[float, ...]:
    """Second-order Butterworth section (b0, b1, b2, a1, a2), bilinear transform, prewarped."""
    k = math.tan(math.pi * cutoff_hz / sample_rate)
    norm = 1 / (1 + math.sqrt(2) * k + k * k)
    a1, a2 = 2 * (k * k - 1) * norm, (1 - math.sqrt(2) * k + k * k) * norm
    if high:
        return norm, -2 * norm, norm, a1, a2
    return k * k * norm, 2 * k * k * norm, k * k * norm, a1, a2


def smoothing(tau_s, time, sample_rate: float) -> np.ndarray:
    """One-pole coefficients c = exp(−1 / (rate · τ · time)) of detectors; of arrays or numbers."""
    return np.exp(-1 / (sample_rate * np.asarray(tau_s) * time))


@njit(cache=True, fastmath=True, inline="always")
def _knee(excess_db, half_db):
    """Soft maximum of 0 and ``excess_db``: quadratic within ±half_db (Giannoulis et al. 2012)."""
    zero, whole = half_db - half_db, half_db + half_db
    inside = min(max(excess_db + half_db, zero), whole)
    return inside * inside / (whole + whole) + max(excess_db - half_db, zero)


@njit(cache=True, fastmath=True, inline="always")
def _law_db(level_db, above_db, below_db, down_slope):
    """Gain that belongs to a detected level: lifted below, pressed down above."""
    up_slope, max_up_db, half_knee_db = LAW
    law = min(up_slope * _knee(below_db - level_db, half_knee_db), max_up_db)
    return law - down_slope * _knee(level_db - above_db, half_knee_db)
