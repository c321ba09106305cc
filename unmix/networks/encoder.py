"""Encoder: pictures of the recording and its source -> one embedding, for the decoder."""

from __future__ import annotations

import torch
from torch import nn

from unmix.features import extract, spectra
from unmix.networks.branches import (
    AmplitudeBranch,
    CoherenceBranch,
    FrequencyBranch,
    ModulationBranch,
    ResidualBlock,
    SpectrogramBranch,
    attend,
)
from unmix.networks.inputs import AMPLITUDES, SCALARS, SCORES
from unmix.networks.relation_branches import LevelGainBranch, PooledBranch


class Encoder(nn.Module):
    """1D CNN over time on pictures of the recording, pooled; two branches over frequency, one over
    both, two on how recording and source relate at any time, one on their amplitudes, and one on
    what wave-shaped copies of them explain.

    Args:
        widths: channels of the stages; each halves the frame rate and has one residual block.
        size: of the embedding.
        heads: learned attention poolings beside global average pooling; what they look at is
            found by content, as one source has its bursts where another has its chords.
        timeline: channels that are read frame by frame beside the pooling, which forgets when
            things happen: where an LFO stands, which level step of the probe it is.
        score_widths: channels of the two stages of the SpectrogramBranch.
        sweep_widths: channels of the stages of the ModulationBranch.
        level_widths: of the LevelGainBranch. texture_widths: of the PooledBranch.
        amplitude_width: of the AmplitudeBranch. shaping_width: of the CoherenceBranch.

    Shape: pictures as ``network_inputs`` gives them (batch B) -> z (B, size).
    """

    def __init__(
        self,
        widths=(192, 256, 384),
        size=512,
        heads=12,
        dropout=0.1,
        timeline=64,
        score_widths=(160, 192),
        sweep_widths=(16, 32, 48),
        level_widths=(48, 64),
        texture_widths=(24, 48, 96),
        amplitude_width=96,
        shaping_width=64,
    ):
        super().__init__()
        channels = 2 * spectra.MELS + extract.FRAME_STATS + SCALARS
        stages: list[nn.Module] = []
        for i, width in enumerate(widths):
            kernel = 5 if i == 0 else 3
            stages += [
                nn.Conv1d(channels, width, kernel, stride=2, padding=kernel // 2),
                ResidualBlock(width),
            ]
            channels = width
        self.first = stages.pop(0)
        self.link = nn.Conv1d(extract.LINK * spectra.MELS, widths[0], 3, padding=1)
        self.cnn = nn.Sequential(*stages, nn.GroupNorm(1, channels), nn.GELU())
        self.attention = nn.Conv1d(channels, heads, 1)
        self.values = nn.Conv1d(channels, channels // 3, 1)
        self.timeline = nn.Conv1d(channels, timeline, 1)
        self.frequency = FrequencyBranch()
        self.score = SpectrogramBranch(score_widths)
        self.join_score = nn.Linear(self.score.outputs, size, bias=False)
        nn.init.zeros_(self.join_score.weight)
        self.sweep = ModulationBranch(sweep_widths)
        self.join_sweep = nn.Linear(self.sweep.outputs, size, bias=False)
        nn.init.zeros_(self.join_sweep.weight)
        self.levels, self.texture = LevelGainBranch(level_widths), PooledBranch(texture_widths)
        related = self.levels.outputs + self.texture.outputs
        self.join_relations = nn.Linear(related, size, bias=False)
        nn.init.zeros_(self.join_relations.weight)
        self.amplitudes = AmplitudeBranch(amplitude_width)
        self.join_amplitudes = nn.Linear(self.amplitudes.outputs, size, bias=False)
        nn.init.zeros_(self.join_amplitudes.weight)
        self.shaping = CoherenceBranch(shaping_width)
        self.join_shaping = nn.Linear(self.shaping.outputs, size, bias=False)
        nn.init.zeros_(self.join_shaping.weight)
        frames = spectra.FRAMES
        for _ in widths:
            frames = (frames + 1) // 2
        pooled = channels + heads * (channels // 3) + timeline * frames
        pooled += self.frequency.outputs + SCALARS
        self.join = nn.Sequential(
            nn.Linear(pooled, size), nn.GELU(), nn.Dropout(dropout), nn.Linear(size, size)
        )

    def forward(self, pictures: dict[str, torch.Tensor]) -> torch.Tensor:
        scalars = pictures["scalars"]
        frames = pictures["mel"].shape[-1]
        over_time = [pictures[name] for name in ("mel", "source_mel", "stats")]
        over_time.append(scalars[..., None].expand(-1, -1, frames))
        x = self.first(torch.cat(over_time, 1)) + self.link(pictures["link"])
        x = self.cnn(x)  # (B, C, T)
        looked = attend(x, self.attention, self.values)
        bands = self.frequency(pictures["transfer"])
        when = self.timeline(x).flatten(1)
        scores = [pictures[name] for name in SCORES]
        first, *rest = self.join
        z = first(torch.cat([x.mean(-1), looked, when, bands, scalars], -1))
        z = z + self.join_score(self.score(*scores)) + self.join_sweep(self.sweep(*scores))
        relations = torch.cat([self.levels(*scores), self.texture(*scores)], -1)
        z = z + self.join_relations(relations)
        sizes = torch.cat([pictures[name] for name in AMPLITUDES], -1)
        z = z + self.join_amplitudes(self.amplitudes(sizes))
        z = z + self.join_shaping(self.shaping(pictures["shaped"]))
        for layer in rest:
            z = layer(z)
        return z
