"""Linear filtering by one FFT: of a padded signal, or by damping.

The plain way pads the signal, so that a response that has rung out does not wrap round.

The other, damped FFT convolution, needs no padding, however long the tail. Two sequences weighted
by ρⁿ convolve into their convolution weighted by ρⁿ. With ρ < 1, what a plain FFT convolution would
wrap round from sample n + length to sample n arrives multiplied by ρ^length: DECAY_DB lower. The
transform of a weighted sequence is its z-transform on a circle of radius 1/ρ > 1, outside every
pole of a stable filter. The price is noise: single precision (about −130 dB) relative to the
loudest weighted sample rises by up to DECAY_DB at the end of the signal.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from scipy.fft import next_fast_len

DECAY_DB = 60.0
MIN_LENGTH = 64


def padded_length(samples: int, tail: int) -> int:
    """A fast FFT length that holds ``samples`` and a response of ``tail`` samples."""
    return next_fast_len(samples + tail, real=True)


def unit_circle(length: int, device=None) -> torch.Tensor:
    """z⁻¹ = exp(−2πi·k/length) for the bins k of a real FFT: complex64 (length/2 + 1,)."""
    k = torch.arange(length // 2 + 1, device=device, dtype=torch.float64)
    return torch.polar(torch.ones_like(k), -2 * torch.pi * k / length).to(torch.complex64)


def filter_by_response(audio: torch.Tensor, response: torch.Tensor, length: int) -> torch.Tensor:
    """Circular convolution of length ``length`` with a sampled frequency response.

    What of the impulse response is longer than ``length − samples`` wraps round to the beginning.

    Args:
        audio: (..., samples) real.
        response: (..., length/2 + 1) complex, broadcastable against the audio's leading dimensions.

    Returns:
        (..., samples), float32: the transform runs in single precision under autocast too.
    """
    with torch.autocast(audio.device.type, enabled=False):
        spectrum = torch.fft.rfft(audio.float(), length)
        return torch.fft.irfft(spectrum * response, length)[..., : audio.shape[-1]]


def damped_length(samples: int) -> int:
    """A fast FFT length for ``damped_convolve`` that holds ``samples``."""
    return next_fast_len(max(samples, MIN_LENGTH), real=True)


def _radius(length: int) -> float:
    return 10 ** (-DECAY_DB / 20 / length)


@lru_cache(maxsize=8)
def damping(length: int, device: str = "cpu") -> torch.Tensor:
    """ρⁿ for n = 0 … length − 1: float32 (length,)."""
    n = torch.arange(length, dtype=torch.float64)
    return (_radius(length) ** n).float().to(device)


def damped_delay(length: int) -> torch.Tensor:
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


def damped_transform(sequence: torch.Tensor, length: int) -> torch.Tensor:
    """z-transform of a real (..., samples ≤ length) at ``damped_delay``: (..., length/2 + 1)."""
    weighted = sequence * damping(length, str(sequence.device))[: sequence.shape[-1]]
    return _RealTransform.apply(weighted, length)


def damped_convolve(audio: torch.Tensor, response: torch.Tensor, length: int) -> torch.Tensor:
    """Filter ``audio`` (..., samples ≤ length) by a causal response sampled at ``damped_delay``.

    Args:
        audio: float32.
        response: complex64 (..., length/2 + 1), broadcastable against the audio.

    Returns:
        (..., samples); the tail beyond the last sample is dropped.
    """
    samples = audio.shape[-1]
    wet = torch.fft.irfft(damped_transform(audio, length) * response, length)[..., :samples]
    return wet / damping(length, str(audio.device))[:samples]
