"""What wave-shaped copies of source and recording explain that filters alone do not.

Conditioned spectral analysis after Bendat, "Nonlinear System Analysis and Identification from
Random Data", 1990: a shaper and filters around it are parallel paths of which each gets its own
input, the source as it is and the source through fixed curves; each input counts with what it adds
to those before it. Read backwards, from the recording to its source, the curves undo a shaper that
nothing but filters stood in front of.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit


def _cube(y):
    return y * y * y


# of the source at its own level, and of the recording with its peak at 1
FORWARD = (lambda x: torch.tanh(4 * x), lambda x: torch.tanh(30 * x), lambda x: torch.sin(8 * x))
BACKWARD = (_cube, lambda y: _cube(_cube(y)))
SHAPING = len(FORWARD) + 1 + len(BACKWARD) + 1
FLOOR, TYPICAL = 0.003, 0.05  # shares: what is added to each, and what reads as 0
RIDGE = 1e-5  # an input of which less than this share is new adds next to nothing
TINY = 1e-20  # power of silence


def forward(sources: torch.Tensor) -> torch.Tensor:
    """(…, samples) -> their copies (len(FORWARD), …, samples)."""
    return torch.stack([curve(sources) for curve in FORWARD])


def backward(recordings: torch.Tensor) -> torch.Tensor:
    """(…, samples) -> their copies (len(BACKWARD), …, samples)."""
    relative = recordings / recordings.abs().amax(-1, keepdim=True).clamp_min(TINY)
    return torch.stack([curve(relative) for curve in BACKWARD])


@njit(cache=True, fastmath=True, nogil=True)
def _products(spectra, real, imaginary):
    signals, (frames, bins) = len(spectra), spectra[0].shape
    for t in range(frames):
        for i in range(signals):
            for j in range(i + 1):
                for k in range(bins):
                    a, b = spectra[i][t, k], spectra[j][t, k]
                    real[i, j, k] += a.real * b.real + a.imag * b.imag
                    imaginary[i, j, k] += a.imag * b.real - a.real * b.imag


def products(*spectra: np.ndarray) -> np.ndarray:
    """Sums over time of S_i S_j*, of complex64 (frames, bins) each: (signals, signals, bins)."""
    signals, bins = len(spectra), spectra[0].shape[1]
    real, imaginary = np.zeros((2, signals, signals, bins), np.float32)
    _products(spectra, real, imaginary)
    sums = real + 1j * imaginary
    for i in range(signals):
        sums[:i, i] = sums[i, :i].conj()
    return sums


def shares(sums):
    """What of the last signal's power each signal before it explains beyond those before that one.

    Args:
        sums: as ``products`` gives them, (signals, signals, …), numpy or torch.

    Returns:
        list of (…): the share of each signal but the first and the last, then that of none.
    """
    last = len(sums) - 1
    ridge = [RIDGE * sums[i, i].real + TINY for i in range(last)]
    total = sums[last, last].real + TINY
    found = []
    for i in range(last):
        column = sums[:, i] / (sums[i, i].real + ridge[i])
        found.append((column[last] * sums[i, last]).real / total)
        sums = sums - column[:, None] * sums[i]
    return [*found[1:], sums[last, last].real.clip(0) / total]
