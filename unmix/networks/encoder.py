"""Encoder: network inputs of a recording and its source -> one embedding, for the decoder."""

from __future__ import annotations

import torch
from torch import nn

from unmix.features import maps, spectra
from unmix.networks.branches import (
    AmplitudeBranch,
    CoherenceBranch,
    FrequencyBranch,
    ModulationBranch,
    ResidualBlock,
    SpectrogramBranch,
    attend,
)
from unmix.networks.inputs import AMPLITUDES, SCALARS, SPECTROGRAMS
from unmix.networks.relation_branches import LevelGainBranch, PooledBranch


class Encoder(nn.Module):
    """A 1-D CNN over time, pooled, and branches whose outputs are joined to it linearly.

    The CNN takes in mel spectrograms, their coherence, frame statistics and scalars. Its output is
    pooled by the mean and by learned attention, as one source has its bursts where another has its
    chords. A few channels are also taken frame by frame, because pooling forgets when things
    happen: where an LFO stands, which level step of the probe it is.

    Args:
        config: model.ModelConfig, whose docstring tells the sizes.

    Shape: inputs as ``network_inputs`` gives them (batch B) -> z (B, size).
    """

    def __init__(self, config):
        super().__init__()
        c, size = config, config.size
        channels = 2 * spectra.MELS + maps.FRAME_STATS + SCALARS
        stages: list[nn.Module] = []
        for i, width in enumerate(c.widths):
            kernel = 5 if i == 0 else 3
            stages += [
                nn.Conv1d(channels, width, kernel, stride=2, padding=kernel // 2),
                ResidualBlock(width),
            ]
            channels = width
        self.first = stages.pop(0)
        self.link = nn.Conv1d(maps.LINK * spectra.MELS, c.widths[0], 3, padding=1)
        self.cnn = nn.Sequential(*stages, nn.GroupNorm(1, channels), nn.GELU())
        self.attention = nn.Conv1d(channels, c.heads, 1)
        self.values = nn.Conv1d(channels, channels // 3, 1)
        self.timeline = nn.Conv1d(channels, c.timeline, 1)
        self.frequency = FrequencyBranch()
        self.joins = self._add_branches(config)
        frames = spectra.FRAMES
        for _ in c.widths:
            frames = (frames + 1) // 2
        pooled = channels + c.heads * (channels // 3) + c.timeline * frames
        pooled += self.frequency.outputs + SCALARS
        self.join = nn.Sequential(
            nn.Linear(pooled, size), nn.GELU(), nn.Dropout(c.dropout), nn.Linear(size, size)
        )

    def _add_branches(self, c) -> dict[str, dict[str, tuple[str, ...]]]:
        """Make the branches, and ``join_NAME`` of each group of them, at first all 0.

        Returns:
            {group: {branch: names of its inputs}}. The names are those of the weights in files,
            older than the features' and branches' present ones.
        """
        table = {
            "score": {"score": (SpectrogramBranch, c.score_widths, SPECTROGRAMS)},
            "sweep": {"sweep": (ModulationBranch, c.sweep_widths, SPECTROGRAMS)},
            "relations": {
                "levels": (LevelGainBranch, c.level_widths, SPECTROGRAMS),
                "texture": (PooledBranch, c.texture_widths, SPECTROGRAMS),
            },
            "amplitudes": {"amplitudes": (AmplitudeBranch, c.amplitude_width, AMPLITUDES)},
            "shaping": {"shaping": (CoherenceBranch, c.shaping_width, ("shaped",))},
        }
        for group, branches in table.items():
            outputs = 0
            for name, (kind, sizes, _) in branches.items():
                branch = kind(sizes)
                self.add_module(name, branch)
                outputs += branch.outputs
            join = nn.Linear(outputs, c.size, bias=False)
            nn.init.zeros_(join.weight)
            self.add_module(f"join_{group}", join)
        return {
            group: {name: inputs for name, (*_, inputs) in branches.items()}
            for group, branches in table.items()
        }

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        scalars = inputs["scalars"]
        frames = inputs["mel"].shape[-1]
        over_time = [inputs[name] for name in ("mel", "source_mel", "stats")]
        over_time.append(scalars[..., None].expand(-1, -1, frames))
        x = self.first(torch.cat(over_time, 1)) + self.link(inputs["link"])
        x = self.cnn(x)  # (B, C, T)
        attended = attend(x, self.attention, self.values)
        bands = self.frequency(inputs["transfer"])
        when = self.timeline(x).flatten(1)
        first, *rest = self.join
        z = first(torch.cat([x.mean(-1), attended, when, bands, scalars], -1))
        for group, branches in self.joins.items():
            outputs = [
                self.get_submodule(name)(*(inputs[key] for key in keys))
                for name, keys in branches.items()
            ]
            z = z + self.get_submodule(f"join_{group}")(torch.cat(outputs, -1))
        for layer in rest:
            z = layer(z)
        return z
