"""Encoder: pictures of the recording and its source -> one embedding."""

from __future__ import annotations

import torch
from torch import nn

from unmix import features

SCALARS = 4  # level difference, source level, and whether each is known


class ResidualBlock(nn.Module):
    """x + conv(gelu(norm(conv(gelu(norm(x)))))), kernel 3. Shape (B, C, T) -> same."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.GELU(),
            nn.Conv1d(channels, channels, 3, padding=1),
            nn.GroupNorm(1, channels),
            nn.GELU(),
            nn.Conv1d(channels, channels, 3, padding=1),
        )

    def forward(self, x):
        return x + self.layers(x)


class Encoder(nn.Module):
    """1D CNN over time on log-mel and frame statistics, pooled; a second branch over frequency.

    Args:
        widths: channels of the stages; each halves the frame rate and has one residual block.
        size: of the embedding.
        heads: learned attention poolings beside global average pooling; what they look at is
            found by content, as one source has its bursts where another has its chords.

    Shape: inputs as ``features.extract`` gives them (batch B), with ``level_known`` (B,) beside
    -> z (B, size).
    """

    def __init__(self, widths=(192, 256, 384), size=512, heads=6, dropout=0.1):
        super().__init__()
        channels = 2 * features.MELS + features.FRAME_STATS + SCALARS
        stages: list[nn.Module] = []
        for i, width in enumerate(widths):
            kernel = 5 if i == 0 else 3
            stages += [
                nn.Conv1d(channels, width, kernel, stride=2, padding=kernel // 2),
                ResidualBlock(width),
            ]
            channels = width
        self.cnn = nn.Sequential(*stages, nn.GroupNorm(1, channels), nn.GELU())
        self.attention = nn.Conv1d(channels, heads, 1)
        self.values = nn.Conv1d(channels, channels // 2, 1)
        self.frequency = nn.Sequential(
            nn.Conv1d(features.TRANSFER, 48, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(48, 64, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv1d(64, 64, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Flatten(),
        )
        pooled = channels + heads * (channels // 2) + 64 * (features.BANDS // 4) + SCALARS
        self.join = nn.Sequential(
            nn.Linear(pooled, size), nn.GELU(), nn.Dropout(dropout), nn.Linear(size, size)
        )

    def forward(self, heard: dict[str, torch.Tensor]) -> torch.Tensor:
        known, level_known = heard["known"], heard["level_known"]
        difference = (heard["level"] - heard["source_level"]) * known * level_known
        scalars = torch.stack(
            [difference / 10, heard["source_level"] * known / 20, known, level_known], -1
        )
        frames = heard["mel"].shape[-1]
        picture = torch.cat(
            [
                (heard["mel"] + 40) / 20,
                (heard["source_mel"] + 40) / 20 * known[:, None, None],
                heard["stats"] / 10,
                scalars[..., None].expand(-1, -1, frames),
            ],
            1,
        )
        x = self.cnn(picture)  # (B, C, T)
        weights = self.attention(x).float().softmax(-1)  # (B, heads, T)
        looked = torch.einsum("bht,bct->bhc", weights.to(x.dtype), self.values(x)).flatten(1)
        scale = heard["transfer"].new_tensor([0.1, 1, 1, 1])[:, None]
        bands = self.frequency(heard["transfer"] * scale * known[:, None, None])
        return self.join(torch.cat([x.mean(-1), looked, bands, scalars], -1))
