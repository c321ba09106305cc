"""Sums over spectra of two signals, compiled: each spectrum is read once, in one pass.

Spectra are complex64 (frames, bins). ``Bank`` holds filters that overlap little, each a run of
weighted bins, so that a frame costs a few sums a bin and no product with a mostly empty matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit


@dataclass(frozen=True)
class Bank:
    """Weighted sums of neighbouring bins.

    Attributes:
        first: (bands,) first bin of each band. start: (bands + 1,) where its weights begin in
            ``weights``.
    """

    first: np.ndarray
    start: np.ndarray
    weights: np.ndarray

    @staticmethod
    def of(matrix: np.ndarray) -> Bank:
        """From a matrix (bands, bins) with weights of 0 or more."""
        first = np.array([np.flatnonzero(row)[0] for row in matrix])
        runs = [
            row[: np.flatnonzero(row)[-1] + 1][a:] for row, a in zip(matrix, first, strict=True)
        ]
        start = np.cumsum([0, *(len(run) for run in runs)])
        return Bank(first, start, np.concatenate(runs).astype(np.float32))


@njit(cache=True, fastmath=True, nogil=True)
def _band_powers(y, first, start, weights, out):
    power = np.empty(y.shape[1], np.float32)
    for t in range(y.shape[0]):
        for k in range(y.shape[1]):
            power[k] = y[t, k].real ** 2 + y[t, k].imag ** 2
        for b in range(first.size):
            total = np.float32(0)
            for i in range(start[b], start[b + 1]):
                total += weights[i] * power[first[b] + i - start[b]]
            out[b, t] = total


def band_powers(y: np.ndarray, bank: Bank) -> np.ndarray:
    """Σ w·|Y|² over the bins of each band: (frames, bins) -> (bands, frames)."""
    out = np.empty((bank.first.size, len(y)), np.float32)
    _band_powers(y, bank.first, bank.start, bank.weights, out)
    return out


@njit(cache=True, fastmath=True, nogil=True)
def _band_cross(y, x, first, start, weights, out):
    real = np.empty(y.shape[1], np.float32)
    imaginary = np.empty(y.shape[1], np.float32)
    for t in range(y.shape[0]):
        for k in range(y.shape[1]):
            a, b = y[t, k], x[t, k]
            real[k] = a.real * b.real + a.imag * b.imag
            imaginary[k] = a.imag * b.real - a.real * b.imag
        for b in range(first.size):
            total_real, total_imaginary = np.float32(0), np.float32(0)
            for i in range(start[b], start[b + 1]):
                k = first[b] + i - start[b]
                total_real += weights[i] * real[k]
                total_imaginary += weights[i] * imaginary[k]
            out[0, b, t] = total_real
            out[1, b, t] = total_imaginary


def band_cross(y: np.ndarray, x: np.ndarray, bank: Bank) -> np.ndarray:
    """Σ w·Y·X* over the bins of each band, real and imaginary part: (2, bands, frames)."""
    out = np.empty((2, bank.first.size, len(y)), np.float32)
    _band_cross(y, x, bank.first, bank.start, bank.weights, out)
    return out


@njit(cache=True, fastmath=True, nogil=True)
def _totals(y, x, out):
    for t in range(y.shape[0]):
        for k in range(y.shape[1]):
            a, b = y[t, k], x[t, k]
            out[0, k] += a.real**2 + a.imag**2
            out[1, k] += b.real**2 + b.imag**2
            out[2, k] += a.real * b.real + a.imag * b.imag
            out[3, k] += a.imag * b.real - a.real * b.imag


def totals(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sums over time of |Y|², |X|² and of Y·X*, real and imaginary part: (4, bins)."""
    out = np.zeros((4, y.shape[1]), np.float32)
    _totals(y, x, out)
    return out


@njit(cache=True, fastmath=True, nogil=True)
def _frame_moments(x, size, hop, near, out):
    for t in range(out.shape[1]):
        begin = t * hop
        second = fourth = peak = np.float32(0)
        for n in range(begin, begin + size):
            square = x[n] * x[n]
            second += square
            fourth += square * square
            peak = max(peak, abs(x[n]))
        threshold, count = near * peak, 0
        for n in range(begin, begin + size):
            count += abs(x[n]) > threshold
        out[0, t], out[1, t], out[2, t], out[3, t] = (
            second / size,
            fourth / size,
            peak,
            count / size,
        )


def frame_moments(x: np.ndarray, size: int, hop: int, frames: int, near: float) -> np.ndarray:
    """Of frames of ``size`` samples, ``hop`` apart: mean square, mean fourth power, peak, and the
    share of samples above ``near`` · peak. (samples,) -> (4, frames)."""
    out = np.empty((4, frames), np.float32)
    _frame_moments(x, size, hop, np.float32(near), out)
    return out
