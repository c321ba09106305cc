"""Level pictures: what a fit compares. They are smooth in the knobs where waveforms are not."""

from __future__ import annotations

import torch

from unmix import features

SHAPES = ((2048, 512, 80), (512, 256, 32))  # FFT size, hop and bands of each picture
RANGE_HZ = (20.0, 20_500.0)
FLOOR = 1e-8  # −80 dB re full scale: over the rounding noise of a low 32-bit filter
SOFT_DB = 3.0


def levels(audio: torch.Tensor, n_fft: int, hop: int, bands: int) -> torch.Tensor:
    """(B, samples) -> (B, bands, frames) in dB re full scale, not below FLOOR."""
    bank = features.band_bank(n_fft, bands, *RANGE_HZ)
    power = features.power_of(features.short_spectra(audio, n_fft, hop))
    return 10 * torch.log10(bank @ power + FLOOR)


class Pictures:
    """Pictures of a recording, and how far others are from them.

    The cost is the mean over SHAPES of the mean of ρ(r), where r is a difference in dB and
    ρ(r) = 2f² (√(1 + r²/f²) − 1) with f = SOFT_DB: r² where r is small, 2f|r| where it is large.

    Args:
        recording: (1, samples).
    """

    def __init__(self, recording: torch.Tensor):
        blocks = [levels(recording, *shape).flatten(1) for shape in SHAPES]
        self.target = torch.cat(blocks, 1)
        shares = [torch.full_like(block[0], 1 / (len(blocks) * block.numel())) for block in blocks]
        self.share = torch.cat(shares)

    def differences(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, samples) -> (B, D): audio minus recording in dB."""
        blocks = [levels(audio, *shape).flatten(1) for shape in SHAPES]
        return torch.cat(blocks, 1) - self.target

    def cost(self, differences: torch.Tensor) -> torch.Tensor:
        """(B, D) -> (B,)."""
        square = differences.square()  # ρ(r) without the cancellation
        return (2 * square / (1 + torch.sqrt(1 + square / SOFT_DB**2))) @ self.share

    def weight(self, differences: torch.Tensor) -> torch.Tensor:
        """(D,) -> (D,): weights w with which Σ w r² has the gradient of the cost (reweighted least
        squares)."""
        return self.share / torch.sqrt(1 + (differences / SOFT_DB).square())
