"""Error-to-signal ratio and the multi-scale STFT loss, both differentiable."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

FFT_SIZES = (2048, 1024, 512, 256, 128, 64)
LOG_FLOOR = 1e-5  # keeps the logarithm of digital silence finite: −100 dB re a magnitude of 1


def esr(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Error-to-signal ratio Σ(y − ŷ)² / Σy² over the last dimension.

    Args:
        estimate, target: (..., samples).

    Returns:
        (...), a plain ratio; ``esr_db`` gives it in dB.
    """
    return (target - estimate).square().sum(-1) / target.square().sum(-1).clamp_min(1e-10)


@lru_cache(maxsize=64)
def hann(size: int, device: str) -> torch.Tensor:
    """Hann window of sum 1: (size,)."""
    window = torch.hann_window(size, device=device)
    return window / window.sum()


def magnitudes(audio: torch.Tensor, size: int, overlap: int = 4) -> torch.Tensor:
    """STFT magnitudes of (batch, samples) -> (batch, size/2 + 1, frames); hop = size / overlap.

    The window is scaled to sum 1: a full-scale sine reads 0.5 whatever the size.
    """
    window = hann(size, str(audio.device))
    spectrum = torch.stft(
        audio, size, size // overlap, window=window, return_complex=True, pad_mode="constant"
    )
    # the square root has no gradient at 0; the term keeps it finite and lies below LOG_FLOOR
    return (spectrum.real.square() + spectrum.imag.square() + 1e-14).sqrt()


def mss(
    estimate: torch.Tensor,
    target: torch.Tensor,
    sizes: tuple[int, ...] = FFT_SIZES,
    overlap: int = 4,
) -> torch.Tensor:
    """Multi-scale STFT loss: mean over FFT sizes of spectral convergence + L1 of log magnitudes.

    L = mean_s ( ‖S − Ŝ‖_F / ‖S‖_F + mean|ln S − ln Ŝ| ), after Yamamoto, Song, Kim, "Parallel
    WaveGAN", ICASSP 2020, equations 4–6. Blind to the polarity of the signal.

    Args:
        estimate, target: (batch, samples); a target of batch 1 serves every estimate.
        overlap: frames that hold a sample; 1 is a quick look.

    Returns:
        (batch,).
    """
    total = 0.0
    for size in sizes:
        s, s_hat = (magnitudes(audio, size, overlap) for audio in (target, estimate))
        convergence = (s - s_hat).norm(dim=(-2, -1)) / s.norm(dim=(-2, -1)).clamp_min(1e-8)
        log_l1 = ((s + LOG_FLOOR).log() - (s_hat + LOG_FLOOR).log()).abs().mean((-2, -1))
        total = total + convergence + log_l1
    return total / len(sizes)


def esr_db(estimate: torch.Tensor, target: torch.Tensor, floor_db: float = -120.0) -> float:
    """``esr`` of one signal, (samples,) or (1, samples), in dB; not below ``floor_db``."""
    return 10 * math.log10(max(float(esr(estimate, target)), 10 ** (floor_db / 10)))


def si_sdr_db(estimate: np.ndarray, target: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, equation 3)."""
    x, y = np.asarray(estimate, np.float64), np.asarray(target, np.float64)
    projected = y * (x @ y) / max(y @ y, 1e-20)
    error = max(np.sum((projected - x) ** 2), 1e-12 * np.sum(y**2), 1e-20)
    return float(10 * np.log10(max(projected @ projected, 1e-20) / error))
