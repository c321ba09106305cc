"""Linear filtering by one FFT: frequency responses sampled on the grid of the padded signal."""

from __future__ import annotations

import torch
from scipy.fft import next_fast_len


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
