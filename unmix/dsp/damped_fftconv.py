"""Linear filtering by one FFT that is no longer than the signal: the transform on a spiral.

Two sequences weighted by ρⁿ convolve into their convolution weighted by ρⁿ. With ρ < 1, what a
plain FFT convolution would wrap round from sample n + length to sample n arrives multiplied by
ρ^length: DECAY_DB lower. So nothing needs to be padded, however long the tail. The transform of a
weighted sequence is its z-transform on a circle of radius 1/ρ > 1, outside every pole of a stable
filter. The price is noise: single precision (about −130 dB) relative to the loudest weighted
sample rises by up to DECAY_DB at the end of the signal.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from scipy.fft import next_fast_len

DECAY_DB = 60.0
MIN_LENGTH = 64


def transform_length(samples: int) -> int:
    """A fast FFT length that holds ``samples``."""
    return next_fast_len(max(samples, MIN_LENGTH), real=True)


def _radius(length: int) -> float:
    return 10 ** (-DECAY_DB / 20 / length)


@lru_cache(maxsize=8)
def weights(length: int, device: str = "cpu") -> torch.Tensor:
    """ρⁿ for n = 0 … length − 1: float32 (length,)."""
    n = torch.arange(length, dtype=torch.float64)
    return (_radius(length) ** n).float().to(device)


def delay(length: int) -> torch.Tensor:
    """z⁻¹ = ρ·exp(−2πi·k/length) at the bins of a real FFT: complex128 (length/2 + 1,), on the CPU.

    In double precision, because 1 − z⁻¹ near 0 Hz is a small difference of large numbers.
    """
    k = torch.arange(length // 2 + 1, dtype=torch.float64)
    return torch.polar(torch.full_like(k, _radius(length)), -2 * torch.pi * k / length)


class _RealTransform(torch.autograd.Function):
    """torch.fft.rfft over the last dimension; its gradient is one real transform back.

    (PyTorch's own runs a complex transform of twice the cost there.) The gradient of bin k is
    Re(G_k · exp(2πi·kn/N)) summed over the bins present; an inverse real transform counts every
    bin but the first and (for even N) the last twice, hence the halves.
    """

    @staticmethod
    def forward(context, x, length):
        context.samples, context.length = x.shape[-1], length
        return torch.fft.rfft(x, length)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, gradient):
        length = context.length
        once = gradient * 0.5
        once[..., 0] *= 2
        if length % 2 == 0:
            once[..., -1] *= 2
        return torch.fft.irfft(once, length, norm="forward")[..., : context.samples], None


def transform(sequence: torch.Tensor, length: int) -> torch.Tensor:
    """z-transform of a real (..., samples ≤ length) at ``delay(length)``: (..., length/2 + 1)."""
    weighted = sequence * weights(length, str(sequence.device))[: sequence.shape[-1]]
    return _RealTransform.apply(weighted, length)


def convolve(audio: torch.Tensor, response: torch.Tensor, length: int) -> torch.Tensor:
    """Filter ``audio`` (..., samples ≤ length) by a causal response sampled at ``delay(length)``.

    Args:
        audio: float32.
        response: complex64 (..., length/2 + 1), broadcastable against the audio.

    Returns:
        (..., samples); the tail beyond the last sample is dropped.
    """
    samples = audio.shape[-1]
    wet = torch.fft.irfft(transform(audio, length) * response, length)[..., :samples]
    return wet / weights(length, str(audio.device))[:samples]
