"""What a fit compares: level pictures, which are smooth in the knobs where waveforms are not, and
the waveform, which knows more once a fit is near."""

from __future__ import annotations

import torch

from unmix.audio.io import SAMPLE_RATE
from unmix.dsp import stft

SHAPES = ((2048, 1024, 80), (512, 256, 32))  # FFT size, hop and bands of each picture
RANGE_HZ = (20.0, 20_500.0)
FLOOR = 1e-8  # −80 dB re full scale: over the rounding noise of a low 32-bit filter
SOFT_DB = 3.0
EMPHASIS = 0.9  # of the waveform: a zero near 0 Hz, so that bass is not all that counts
EVEN_S = 0.05  # the waveform's level is made even over that time …
EVEN_FLOOR = 1e-3  # … down to that share of its loudest moment


def levels(audio: torch.Tensor, n_fft: int, hop: int, bands: int) -> torch.Tensor:
    """(B, samples) -> (B, bands, frames) in dB re full scale, not below FLOOR."""
    bank = stft.band_bank(n_fft, bands, *RANGE_HZ)
    return torch.stack([_levels(x, n_fft, hop, bank) for x in audio])


def _levels(audio: torch.Tensor, n_fft: int, hop: int, bank: torch.Tensor) -> torch.Tensor:
    """The same of one sound, (samples,): what it needs stays in the cache."""
    spectra = stft.short_spectra(audio, n_fft, hop).mT.numpy()
    power = spectra.real**2 + spectra.imag**2  # a third of the time that torch needs
    return 10 * torch.log10(bank @ torch.from_numpy(power).mT + FLOOR)


class SpectrogramObjective:
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

    def residuals(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, samples) -> (B, D): audio minus recording in dB."""
        blocks = [levels(audio, *shape).flatten(1) for shape in SHAPES]
        return torch.cat(blocks, 1) - self.target

    def cost(self, residuals: torch.Tensor) -> torch.Tensor:
        """(B, D) -> (B,)."""
        square = residuals.square()  # ρ(r) without the cancellation
        return (2 * square / (1 + torch.sqrt(1 + square / SOFT_DB**2))) @ self.share

    def irls_weights(self, residuals: torch.Tensor) -> torch.Tensor:
        """(D,) -> (D,): weights w with which Σ w r² has the gradient of the cost (reweighted least
        squares)."""
        return self.share / torch.sqrt(1 + (residuals / SOFT_DB).square())


def moving_mean(values: torch.Tensor, reach: int) -> torch.Tensor:
    """(B, samples) -> (B, samples): the means of what stands ``reach`` or less from each sample, by
    running sums in double precision."""
    sums = torch.nn.functional.pad(values.double().cumsum(-1), (1, 0))
    samples = values.shape[-1]
    places = torch.arange(samples, device=values.device)
    begins, ends = (places - reach).clamp_min(0), (places + reach + 1).clamp_max(samples)
    return ((sums[:, ends] - sums[:, begins]) / (ends - begins)).to(values.dtype)


class WaveformObjective:
    """The waveform of a recording, made even, and how far others are from it.

    Differences are e(n) = g(n) · (d(n) − EMPHASIS · d(n−1)), d = audio − recording, with g(n) the
    inverse of the recording's own level around n after the same emphasis. The cost is Σ e² as a
    share of the recording's own Σ e²: 1 for silence, 10⁻⁶ at an error of −60 dB.

    Args:
        recording: (1, samples).
    """

    def __init__(self, recording: torch.Tensor):
        emphasised = self._emphasised(recording)
        level = moving_mean(emphasised.square(), round(EVEN_S * SAMPLE_RATE) // 2).sqrt()
        self.gain = 1 / (level + EVEN_FLOOR * level.max() + 1e-20)
        self.gain /= (self.gain * emphasised).norm() + 1e-20
        self.target = self.gain * emphasised

    @staticmethod
    def _emphasised(audio: torch.Tensor) -> torch.Tensor:
        before = torch.nn.functional.pad(audio, (1, 0))[:, :-1]
        return audio - EMPHASIS * before

    def residuals(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, samples) -> (B, samples): audio minus recording, made even."""
        return self.gain * self._emphasised(audio) - self.target

    def cost(self, residuals: torch.Tensor) -> torch.Tensor:
        """(B, samples) -> (B,)."""
        return residuals.square().sum(-1)

    def irls_weights(self, residuals: torch.Tensor) -> torch.Tensor:
        """As of ``Pictures``: ones."""
        return torch.ones_like(residuals)
