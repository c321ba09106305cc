"""Branches for sources without a fixed timeline: gain by level, and pooling over time."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unmix.features import spectra
from unmix.networks.branches import ResidualBlock, attend


class LevelGainBranch(nn.Module):
    """2-D CNN over level and frequency on the gain at each level of each band.

    For an arbitrary source there is no fixed timeline, so frames are binned by level: that of the
    source in the band itself, that of the source in the octaves around it, and that of the whole
    recording. Estimated per bin and band are the share of frames, mean and spread of the gain, the
    coherence, and how the gain goes with a rising level (for the recording's level the shape of its
    spectrum instead).

    Shape: as of SpectrogramBranch -> (B, ``outputs``).
    """

    STEP = 0.5
    LEVELS = torch.arange(-2.0, 2.51, STEP)  # as ``network_inputs`` gives them: −80 dB to 10 dB
    AROUND = 33  # bands: 3.4 octaves
    CHANNELS = 24

    def __init__(self, widths=(48, 64), channels=8):
        super().__init__()
        first, second = widths
        self.cnn = nn.Sequential(
            nn.Conv2d(self.CHANNELS, first, 3, stride=(1, 2), padding=1),
            nn.GELU(),
            nn.Conv2d(first, first, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(first, second, 3, stride=(2, 2), padding=1),
            nn.GELU(),
            nn.Conv2d(second, second, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(second, channels, 3, stride=(2, 1), padding=1),
            nn.GELU(),
            nn.Flatten(),
        )
        self.register_buffer("steps", self.LEVELS / self.STEP, persistent=False)
        rows = len(self.LEVELS)
        for _ in range(2):
            rows = (rows + 1) // 2
        self.outputs = channels * rows * (spectra.BANDS // 4)

    def forward(self, recording, source, coherence):
        with torch.no_grad(), torch.autocast(recording.device.type, enabled=False):
            by_level = self.by_level(recording.float(), source.float(), coherence.float())
        return self.cnn(by_level)

    def by_level(self, recording, source, coherence) -> torch.Tensor:
        """(B, CHANNELS, levels, BANDS)."""
        recording, source = recording.mT.contiguous(), source.mT.contiguous()  # (B, BANDS, frames)
        real, imaginary = coherence.mT.contiguous().unbind(1)
        gain = (recording - source).clamp(-3, 3)
        pooled = {"stride": 1, "padding": self.AROUND // 2, "count_include_pad": False}
        power = F.avg_pool1d(_power(source).mT, self.AROUND, **pooled)
        around = _level(power.mT.contiguous())
        whole = _level(_power(recording).mean(1, keepdim=True)).expand_as(recording)
        rise = torch.diff(around, prepend=around[..., :1]).clamp(-1, 1)
        turn = torch.diff(gain, prepend=gain[..., :1]).clamp(-1, 1)
        size = (real.square() + imaginary.square() + 1e-8).sqrt()
        shape = (recording - whole).clamp(-3, 3)
        features = [gain, gain.square(), real, imaginary, size]
        moving = torch.stack([*features, 2 * rise * gain, 4 * rise * turn], -1)
        shaped = torch.stack([*features, shape, shape.square()], -1)
        maps = [self.means(source, moving), self.means(around, moving), self.means(whole, shaped)]
        return torch.cat(maps, -1).permute(0, 3, 2, 1).contiguous()

    def means(self, level, values) -> torch.Tensor:
        """Of values (B, BANDS, frames, V) at each level (B, BANDS, frames), the second the square
        of the first: (B, BANDS, levels, 1 + V), first the share of frames."""
        levels = self.steps
        level = (level / self.STEP).clamp(levels[0], levels[-1])
        weights = level[:, :, None] - levels[:, None]
        weights.abs_().neg_().add_(1).relu_()  # large, and so in place
        share = weights.mean(-1, keepdim=True)  # (B, BANDS, levels, 1)
        sums = weights @ values
        mean = sums / weights.shape[-1] / (share + 0.005)
        mean[..., 1] = (mean[..., 1] - mean[..., 0].square()).clamp_min(0).sqrt()  # the spread
        return torch.cat([(share + 1e-6).log() / 4 + 1, mean], -1)


def _power(level):
    """Of a level as ``network_inputs`` gives it."""
    return torch.pow(10.0, 2 * level)


def _level(power):
    """The reverse of _power."""
    return power.clamp_min(1e-12).log10() / 2


class PooledBranch(nn.Module):
    """2-D CNN over time and frequency on how recording and source relate, then pooled over time.

    For an arbitrary source there is no fixed timeline: what it detects counts at any time.

    Args:
        widths: channels of the stages; each halves the bands, the second and third the frames.
        channels: of a frame, before pooling by mean and standard deviation.
        heads, values: number of attention poolings beside them, and channels of each.

    Shape: as of SpectrogramBranch -> (B, ``outputs``).
    """

    INPUTS = 7

    def __init__(self, widths=(24, 48, 96), channels=128, heads=6, values=40):
        super().__init__()
        first, second, third = widths
        self.cnn = nn.Sequential(
            nn.Conv2d(self.INPUTS, first, 3, stride=(1, 2), padding=1),
            nn.GELU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            ResidualBlock(second, nn.Conv2d),
            nn.Conv2d(second, third, 3, stride=2, padding=1),
            ResidualBlock(third, nn.Conv2d),
            nn.GroupNorm(1, third),
            nn.GELU(),
        )
        self.gather = nn.Conv1d(third * (spectra.BANDS // 8), channels, 1)
        self.attention = nn.Conv1d(channels, heads, 1)
        self.values = nn.Conv1d(channels, values, 1)
        self.outputs = 2 * channels + heads * values

    def forward(self, recording, source, coherence):
        gain = (recording - source).clamp(-3, 3)
        size = (coherence.square().sum(1) + 1e-8).sqrt()
        place = torch.linspace(-1, 1, spectra.BANDS, device=recording.device).expand_as(recording)
        planes = [gain, source, recording, size, place]
        x = self.cnn(torch.cat([torch.stack(planes, 1), coherence], 1))
        x = F.gelu(self.gather(x.transpose(2, 3).flatten(1, 2)))  # (B, channels, frames)
        attended = attend(x, self.attention, self.values)
        return torch.cat([x.mean(-1), x.float().std(-1).to(x.dtype), attended], -1)
