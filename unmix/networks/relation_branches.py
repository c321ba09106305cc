"""Readers of how recording and source relate, whenever it shows: by level, and by texture."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unmix.features import spectra
from unmix.networks.branches import ResidualBlock, attend


class LevelGainBranch(nn.Module):
    """2D CNN over level and frequency: what the chain does at each level of each band, whenever.

    Of an unknown source no frame is a known moment, so frames are sorted by level instead: by that
    of the source in the band itself, by that of the source over some octaves around it, and by that
    of the whole recording. Of the frames at a level, band by band, it gets the share, the mean gain
    and its spread, how the gain goes with a rising level, and the link; of the recording's levels
    the spectrum instead of what rises.

    Shape: score, source_score, score_link as for SpectrogramBranch -> (B, ``outputs``).
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

    def forward(self, score, source_score, score_link):
        with torch.no_grad(), torch.autocast(score.device.type, enabled=False):
            picture = self.by_level(score.float(), source_score.float(), score_link.float())
        return self.cnn(picture)

    def by_level(self, score, source, link) -> torch.Tensor:
        """(B, CHANNELS, levels, BANDS)."""
        score, source = score.mT.contiguous(), source.mT.contiguous()  # (B, BANDS, frames)
        real, imaginary = link.mT.contiguous().unbind(1)
        gain = (score - source).clamp(-3, 3)
        pooled = {"stride": 1, "padding": self.AROUND // 2, "count_include_pad": False}
        power = F.avg_pool1d(_power(source).mT, self.AROUND, **pooled)
        around = _level(power.mT.contiguous())
        whole = _level(_power(score).mean(1, keepdim=True)).expand_as(score)
        rise = torch.diff(around, prepend=around[..., :1]).clamp(-1, 1)
        turn = torch.diff(gain, prepend=gain[..., :1]).clamp(-1, 1)
        size = (real.square() + imaginary.square() + 1e-8).sqrt()
        shape = (score - whole).clamp(-3, 3)
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
    """2D CNN over time and frequency on how recording and source relate, then pooled over time.

    Of an unknown source no frame is a known moment: what is found counts wherever it stands.

    Args:
        widths: channels of the stages; each halves the bands, the second and third the frames.
        channels: of what is found, frame by frame.
        heads, values: learned attention poolings, and channels of what they look at; mean and
            spread of all channels beside them.

    Shape: score, source_score, score_link as for SpectrogramBranch -> (B, ``outputs``).
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

    def forward(self, score, source_score, score_link):
        gain = (score - source_score).clamp(-3, 3)
        size = (score_link.square().sum(1) + 1e-8).sqrt()
        place = torch.linspace(-1, 1, spectra.BANDS, device=score.device).expand_as(score)
        planes = [gain, source_score, score, size, place]
        found = self.cnn(torch.cat([torch.stack(planes, 1), score_link], 1))
        found = F.gelu(self.gather(found.transpose(2, 3).flatten(1, 2)))  # (B, channels, frames)
        looked = attend(found, self.attention, self.values)
        return torch.cat([found.mean(-1), found.float().std(-1).to(found.dtype), looked], -1)
