"""Branches that take in the features of a recording; encoder and heads are made of them."""

from __future__ import annotations

import torch
from torch import nn

from unmix.features import maps, spectra
from unmix.features.amplitude_histogram import AMPLITUDES
from unmix.features.nonlinear_coherence import SHAPING
from unmix.networks.inputs import SCALARS, SPECTROGRAMS


class ResidualBlock(nn.Module):
    """x + conv(gelu(norm(conv(gelu(norm(x)))))), kernel 3. Shape (B, C, …) -> same."""

    def __init__(self, channels: int, convolution=nn.Conv1d):
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.GELU(),
            convolution(channels, channels, 3, padding=1),
            nn.GroupNorm(1, channels),
            nn.GELU(),
            convolution(channels, channels, 3, padding=1),
        )

    def forward(self, x):
        return x + self.layers(x)


def attend(x: torch.Tensor, attention: nn.Module, values: nn.Module) -> torch.Tensor:
    """Learned attention pooling over time: (B, C, T) -> (B, heads · values)."""
    weights = attention(x).float().softmax(-1)  # (B, heads, T)
    return torch.einsum("bht,bct->bhc", weights.to(x.dtype), values(x)).flatten(1)


class SpectrogramBranch(nn.Module):
    """1-D CNN over frequency, to which the frames of the log-frequency spectrograms are channels.

    At every frequency it compares moments with one another: what a filter did to a quiet and a
    loud noise, to a chirp and to an impulse.

    Shape: spectrograms of recording and source (B, SCORE_FRAMES, BANDS), their coherence (B, LINK,
    SCORE_FRAMES, BANDS) -> (B, ``outputs``).
    """

    def __init__(self, widths=(160, 192), channels=64):
        super().__init__()
        first, second = widths
        self.cnn = nn.Sequential(
            nn.Conv1d((2 + maps.LINK) * spectra.SCORE_FRAMES, first, 3, padding=1),
            ResidualBlock(first),
            nn.Conv1d(first, second, 3, stride=2, padding=1),
            ResidualBlock(second),
            nn.GroupNorm(1, second),
            nn.GELU(),
            nn.Conv1d(second, channels, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
        )
        self.outputs = channels * (spectra.BANDS // 4)

    def forward(self, recording, source, coherence):
        return self.cnn(torch.cat([recording, source, coherence.flatten(1, 2)], 1))


class ModulationBranch(nn.Module):
    """2-D CNN that detects moving notches and peaks, as an LFO makes them.

    Its weights are shared over time and frequency: on a logarithmic axis a notch has the same shape
    at any frequency. A 1-D CNN turns the detections of each frame into the values of a few tracks.
    The modulation spectrum of each track gives rate and phase of the LFO.

    Args:
        widths: channels of the stages; each halves the number of bands.
        tracks: number of feature tracks.

    Shape: as of SpectrogramBranch -> (B, ``outputs``).
    """

    LENGTH = 256  # frames of the zero-padded spectrum: bins of 0.084 Hz
    BINS = slice(1, 66)  # 0.08 Hz to 5.5 Hz

    def __init__(self, widths=(16, 32, 48), tracks=16, channels=96):
        super().__init__()
        stages: list[nn.Module] = []
        inputs = 2 + maps.LINK
        for width in widths:
            stages += [nn.Conv2d(inputs, width, 3, stride=(1, 2), padding=1), nn.GELU()]
            inputs = width
        self.cnn = nn.Sequential(*stages)
        bands = spectra.BANDS // 2 ** len(widths)
        self.gather = nn.Sequential(
            nn.Conv1d(inputs * bands, channels, 1),
            ResidualBlock(channels),
            nn.GELU(),
            nn.Conv1d(channels, tracks, 1),
        )
        bins = self.BINS.stop - self.BINS.start
        self.register_buffer(
            "log_bins", torch.arange(self.BINS.start, self.BINS.stop).log() / 2, persistent=False
        )
        self.sharpness = nn.Parameter(torch.full((tracks, 1), 8.0))
        self.outputs = tracks * spectra.SCORE_FRAMES + 4 * tracks + tracks * bins

    def forward(self, recording, source, coherence):
        planes = torch.cat([torch.stack([recording - source, source], 1), coherence], 1)
        detected = self.cnn(planes).transpose(2, 3).flatten(1, 2)  # (B, C · bands, frames)
        return self.modulation(self.gather(detected))

    def modulation(self, tracks: torch.Tensor) -> torch.Tensor:
        """Tracks (B, tracks, SCORE_FRAMES) themselves; the peak of each one's modulation spectrum
        (logarithm of the bin, cosine and sine of the phase, logarithm of the magnitude); and its
        magnitudes relative to the greatest: (B, ``outputs``)."""
        with torch.autocast(tracks.device.type, enabled=False):
            tracks = tracks.float()
            spectrum = torch.fft.rfft(tracks - tracks.mean(-1, keepdim=True), self.LENGTH)
            spectrum = spectrum[..., self.BINS] / tracks.shape[-1]
            magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-8).sqrt()
            relative = magnitude / magnitude.amax(-1, keepdim=True)
            weights = (self.sharpness * relative).softmax(-1)
            turns = spectrum / magnitude
            where = [
                self.log_bins.expand_as(magnitude),
                turns.real,
                turns.imag,
                magnitude.log() / 4,
            ]
            peak = [(weights * values).sum(-1) for values in where]
        return torch.cat([tracks.flatten(1), *peak, relative.flatten(1)], -1)


class FrequencyBranch(nn.Sequential):
    """1-D CNN over the bands of the transfer function: (B, TRANSFER, BANDS) -> (B, ``outputs``)."""

    def __init__(self, first=48, channels=64):
        super().__init__(
            nn.Conv1d(maps.TRANSFER, first, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(first, channels, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv1d(channels, channels, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Flatten(),
        )
        self.outputs = channels * (spectra.BANDS // 4)


class StatsBranch(nn.Sequential):
    """1-D CNN over the frames of the statistics: (B, FRAME_STATS, FRAMES) -> (B, ``outputs``)."""

    def __init__(self, channels=16):
        super().__init__(
            nn.Conv1d(maps.FRAME_STATS, channels, 5, stride=4, padding=2),
            nn.GELU(),
            nn.Conv1d(channels, channels, 5, stride=4, padding=2),
            nn.GELU(),
            nn.Flatten(),
        )
        frames = spectra.FRAMES
        for _ in range(2):
            frames = (frames + 3) // 4
        self.outputs = channels * frames


class AmplitudeBranch(nn.Sequential):
    """Amplitude histograms of recording and source, (B, AMPLITUDES) each -> (B, ``outputs``)."""

    def __init__(self, width=96):
        super().__init__(
            nn.Linear(2 * AMPLITUDES, width), nn.GELU(), nn.Linear(width, width), nn.GELU()
        )
        self.outputs = width

    def forward(self, recording, source):
        return super().forward(torch.cat([recording, source], -1))


class CoherenceBranch(nn.Sequential):
    """Nonlinear coherence: (B, SHAPING, BANDS) -> (B, ``outputs``)."""

    def __init__(self, width=64):
        super().__init__(
            nn.Flatten(),
            nn.Linear(SHAPING * spectra.BANDS, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
        )
        self.outputs = width


class KnobBranch(nn.Module):
    """All branches of the head of one effect, side by side.

    Shape: inputs as ``network_inputs`` gives them (batch B), of which INPUTS -> (B, ``outputs``).
    """

    INPUTS = (*SPECTROGRAMS, "transfer", "stats", "scalars")

    def __init__(self, score_widths=(96, 96), sweep_widths=(16, 32, 48)):
        super().__init__()
        self.score = SpectrogramBranch(score_widths, 32)
        self.sweep = ModulationBranch(sweep_widths)
        self.frequency = FrequencyBranch(64)
        self.stats = StatsBranch()
        parts = (self.score, self.sweep, self.frequency, self.stats)
        self.outputs = sum(part.outputs for part in parts) + SCALARS

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        spectrograms = [inputs[name] for name in SPECTROGRAMS]
        outputs = [
            self.score(*spectrograms),
            self.sweep(*spectrograms),
            self.frequency(inputs["transfer"]),
            self.stats(inputs["stats"]),
            inputs["scalars"],
        ]
        return torch.cat(outputs, -1)
