"""What descents lower: a robust cost of level spectrograms, which are smooth in the knobs where
waveforms are not, and a whitened waveform cost, which tells more once a render is near."""

from __future__ import annotations

import torch

from unmix.audio.io import SAMPLE_RATE
from unmix.dsp import stft

# They define the two costs; not tuned: no trial is on record that chose them.
SHAPES = ((2048, 1024, 80), (512, 256, 32))  # FFT size, hop and bands of each spectrogram
RANGE_HZ = (20.0, 20_500.0)  # of the bands
FLOOR = 1e-8  # −80 dB re full scale: above the rounding noise of a low 32-bit filter
SOFT_DB = 3.0  # where the cost turns from quadratic to linear
EMPHASIS = 0.9  # of the waveform: a zero near 0 Hz, so that bass does not dominate
LEVEL_S = 0.05  # seconds over which the recording's level is averaged to whiten it over time …
LEVEL_FLOOR = 1e-3  # … down to that share of its loudest moment


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
    """A robust cost of the difference between level spectrograms and those of a recording.

    The cost, in dB², is the mean over SHAPES of the mean of ρ(r), where r is a residual in dB and
    ρ(r) = 2f² (√(1 + r²/f²) − 1) with f = SOFT_DB: r² where r is small, 2f|r| where it is large
    (pseudo-Huber loss; Hartley and Zisserman, "Multiple View Geometry", 2004, appendix 6.8).

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
        """(D,) -> (D,): weights w with which Σ w r² has the gradient of the cost (iteratively
        reweighted least squares)."""
        return self.share / torch.sqrt(1 + (residuals / SOFT_DB).square())


def moving_mean(values: torch.Tensor, reach: int) -> torch.Tensor:
    """(B, samples) -> (B, samples): the means over the samples at most ``reach`` away from each, by
    running sums in double precision."""
    sums = torch.nn.functional.pad(values.double().cumsum(-1), (1, 0))
    samples = values.shape[-1]
    indices = torch.arange(samples, device=values.device)
    begins, ends = (indices - reach).clamp_min(0), (indices + reach + 1).clamp_max(samples)
    return ((sums[:, ends] - sums[:, begins]) / (ends - begins)).to(values.dtype)


class WaveformObjective:
    """The squared error of the waveform, whitened by the recording's own level over time.

    Residuals are e(n) = g(n) · (d(n) − EMPHASIS · d(n−1)), d = audio − recording, with g(n) the
    inverse of the recording's own level around n after the same emphasis. The cost is Σ e² as a
    share of the recording's own Σ e²: 1 for silence, 10⁻⁶ at an error of −60 dB.

    Args:
        recording: (1, samples).
    """

    def __init__(self, recording: torch.Tensor):
        emphasised = self._emphasised(recording)
        level = moving_mean(emphasised.square(), round(LEVEL_S * SAMPLE_RATE) // 2).sqrt()
        self.gain = 1 / (level + LEVEL_FLOOR * level.max() + 1e-20)
        self.gain /= (self.gain * emphasised).norm() + 1e-20
        self.target = self.gain * emphasised

    @staticmethod
    def _emphasised(audio: torch.Tensor) -> torch.Tensor:
        before = torch.nn.functional.pad(audio, (1, 0))[:, :-1]
        return audio - EMPHASIS * before

    def residuals(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, samples) -> (B, samples): whitened audio minus the whitened recording."""
        return self.gain * self._emphasised(audio) - self.target

    def cost(self, residuals: torch.Tensor) -> torch.Tensor:
        """(B, samples) -> (B,)."""
        return residuals.square().sum(-1)

    def irls_weights(self, residuals: torch.Tensor) -> torch.Tensor:
        """As of ``SpectrogramObjective``: ones, as the cost is quadratic."""
        return torch.ones_like(residuals)
