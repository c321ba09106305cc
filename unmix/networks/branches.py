"""Parts that read the pictures of a recording; the encoder and the heads are made of them."""

from __future__ import annotations

import torch
from torch import nn

from unmix.features import extract, spectra
from unmix.features.amplitude_histogram import AMPLITUDES
from unmix.features.nonlinear_coherence import SHAPING
from unmix.networks.inputs import SCALARS, SCORES


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
    """What learned attention finds at any time: (B, C, T) -> (B, heads · values)."""
    weights = attention(x).float().softmax(-1)  # (B, heads, T)
    return torch.einsum("bht,bct->bhc", weights.to(x.dtype), values(x)).flatten(1)


class SpectrogramBranch(nn.Module):
    """1D CNN over frequency, to which the frames of the score are channels.

    At every frequency it compares moments with one another: what a filter did to a quiet and a
    loud noise, to a chirp and to an impulse.

    Shape: score, source_score (B, SCORE_FRAMES, BANDS), score_link (B, LINK, SCORE_FRAMES, BANDS)
    -> (B, ``outputs``).
    """

    def __init__(self, widths=(160, 192), channels=64):
        super().__init__()
        first, second = widths
        self.cnn = nn.Sequential(
            nn.Conv1d((2 + extract.LINK) * spectra.SCORE_FRAMES, first, 3, padding=1),
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

    def forward(self, score, source_score, score_link):
        picture = torch.cat([score, source_score, score_link.flatten(1, 2)], 1)
        return self.cnn(picture)


class ModulationBranch(nn.Module):
    """2D CNN on the score that follows what wanders through the spectrum, as a notch under an LFO.

    Shared over time and frequency: wherever a notch stands, it looks the same on the score's
    logarithmic axis. Frame by frame its findings become tracks; they are read as they stand, and
    in their spectrum over time: where each track is strongest there, and with what phase.

    Args:
        widths: channels of the stages; each halves the number of bands.
        tracks: of the findings.

    Shape: score, source_score, score_link as for SpectrogramBranch -> (B, ``outputs``).
    """

    LENGTH = 256  # frames of the zero-padded spectrum: bins of 0.084 Hz
    BINS = slice(1, 66)  # 0.08 Hz to 5.5 Hz

    def __init__(self, widths=(16, 32, 48), tracks=16, channels=96):
        super().__init__()
        stages: list[nn.Module] = []
        inputs = 2 + extract.LINK
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

    def forward(self, score, source_score, score_link):
        picture = torch.cat([torch.stack([score - source_score, source_score], 1), score_link], 1)
        found = self.cnn(picture).transpose(2, 3).flatten(1, 2)  # (B, C · bands, frames)
        return self.read(self.gather(found))

    def read(self, tracks: torch.Tensor) -> torch.Tensor:
        """Tracks (B, tracks, SCORE_FRAMES) as they stand; of the spectrum of each its strongest
        place (logarithm of the bin, cosine and sine of the phase, logarithm of the strength), and
        its strengths relative to the greatest: (B, ``outputs``)."""
        with torch.autocast(tracks.device.type, enabled=False):
            tracks = tracks.float()
            spectrum = torch.fft.rfft(tracks - tracks.mean(-1, keepdim=True), self.LENGTH)
            spectrum = spectrum[..., self.BINS] / tracks.shape[-1]
            strength = (spectrum.real.square() + spectrum.imag.square() + 1e-8).sqrt()
            relative = strength / strength.amax(-1, keepdim=True)
            weights = (self.sharpness * relative).softmax(-1)
            turns = spectrum / strength
            where = [self.log_bins.expand_as(strength), turns.real, turns.imag, strength.log() / 4]
            peak = [(weights * values).sum(-1) for values in where]
        return torch.cat([tracks.flatten(1), *peak, relative.flatten(1)], -1)


class FrequencyBranch(nn.Sequential):
    """1D CNN over the bands of the transfer function: (B, TRANSFER, BANDS) -> (B, ``outputs``)."""

    def __init__(self, first=48, channels=64):
        super().__init__(
            nn.Conv1d(extract.TRANSFER, first, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(first, channels, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv1d(channels, channels, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Flatten(),
        )
        self.outputs = channels * (spectra.BANDS // 4)


class StatsBranch(nn.Sequential):
    """1D CNN over the frames of the statistics: (B, FRAME_STATS, FRAMES) -> (B, ``outputs``)."""

    def __init__(self, channels=16):
        super().__init__(
            nn.Conv1d(extract.FRAME_STATS, channels, 5, stride=4, padding=2),
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
    """Amplitudes of recording and source: two (B, AMPLITUDES) side by side -> (B, ``outputs``)."""

    def __init__(self, width=96):
        super().__init__(
            nn.Linear(2 * AMPLITUDES, width), nn.GELU(), nn.Linear(width, width), nn.GELU()
        )
        self.outputs = width


class CoherenceBranch(nn.Sequential):
    """What wave-shaped copies explain: (B, SHAPING, BANDS) -> (B, ``outputs``)."""

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
    """Everything of a recording that the knobs of one effect may stand in.

    Shape: pictures as ``network_inputs`` gives them (batch B), of which READS -> (B, ``outputs``).
    """

    READS = (*SCORES, "transfer", "stats", "scalars")

    def __init__(self, score_widths=(96, 96), sweep_widths=(16, 32, 48)):
        super().__init__()
        self.score = SpectrogramBranch(score_widths, 32)
        self.sweep = ModulationBranch(sweep_widths)
        self.frequency = FrequencyBranch(64)
        self.stats = StatsBranch()
        parts = (self.score, self.sweep, self.frequency, self.stats)
        self.outputs = sum(part.outputs for part in parts) + SCALARS

    def forward(self, pictures: dict[str, torch.Tensor]) -> torch.Tensor:
        scores = [pictures[name] for name in SCORES]
        found = [
            self.score(*scores),
            self.sweep(*scores),
            self.frequency(pictures["transfer"]),
            self.stats(pictures["stats"]),
            pictures["scalars"],
        ]
        return torch.cat(found, -1)
