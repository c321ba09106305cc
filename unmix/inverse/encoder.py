"""Encoder: pictures of the recording and its source -> one embedding."""

from __future__ import annotations

import torch
from torch import nn

from unmix import features

SCALARS = 4  # level difference, source level, and whether each is known
OPTIONAL = (
    "source_mel",
    "stats",
    "transfer",
    "link",
    "score",
)  # inputs beside the recording's log-mel


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


class ScoreReader(nn.Module):
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
            nn.Conv1d((2 + features.LINK) * features.SCORE_FRAMES, first, 3, padding=1),
            ResidualBlock(first),
            nn.Conv1d(first, second, 3, stride=2, padding=1),
            ResidualBlock(second),
            nn.GroupNorm(1, second),
            nn.GELU(),
            nn.Conv1d(second, channels, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
        )
        self.outputs = channels * (features.BANDS // 4)

    def forward(self, score, source_score, score_link):
        picture = torch.cat([score, source_score, score_link.flatten(1, 2)], 1)
        return self.cnn(picture)


class SweepReader(nn.Module):
    """2D CNN on the score that follows what wanders through the spectrum, as a notch under an LFO.

    Shared over time and frequency: wherever a notch stands, it looks the same on the score's
    logarithmic axis. Frame by frame its findings become tracks; they are read as they stand, and
    in their spectrum over time: where each track is strongest there, and with what phase.

    Args:
        widths: channels of the stages; each halves the number of bands.
        tracks: of the findings.

    Shape: score, source_score, score_link as for ScoreReader -> (B, ``outputs``).
    """

    LENGTH = 256  # frames of the zero-padded spectrum: bins of 0.084 Hz
    BINS = slice(1, 66)  # 0.08 Hz to 5.5 Hz

    def __init__(self, widths=(16, 32, 48), tracks=16, channels=96):
        super().__init__()
        stages: list[nn.Module] = []
        inputs = 2 + features.LINK
        for width in widths:
            stages += [nn.Conv2d(inputs, width, 3, stride=(1, 2), padding=1), nn.GELU()]
            inputs = width
        self.cnn = nn.Sequential(*stages)
        bands = features.BANDS // 2 ** len(widths)
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
        self.outputs = tracks * features.SCORE_FRAMES + 4 * tracks + tracks * bins

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


class Encoder(nn.Module):
    """1D CNN over time on pictures of the recording, pooled; two branches over frequency, and one
    over both.

    Args:
        widths: channels of the stages; each halves the frame rate and has one residual block.
        size: of the embedding.
        heads: learned attention poolings beside global average pooling; what they look at is
            found by content, as one source has its bursts where another has its chords.
        timeline: channels that are read frame by frame beside the pooling, which forgets when
            things happen: where an LFO stands, which level step of the probe it is.
        inputs: those of OPTIONAL that are heard; the others count as 0, in a network of the same
            size.
        score_widths: channels of the two stages of the ScoreReader.
        sweep_widths: channels of the stages of the SweepReader.

    Shape: inputs as ``features.extract`` gives them (batch B), with ``level_known`` (B,) beside
    -> z (B, size).
    """

    def __init__(
        self,
        widths=(192, 256, 384),
        size=512,
        heads=12,
        dropout=0.1,
        timeline=64,
        inputs=OPTIONAL,
        score_widths=(160, 192),
        sweep_widths=(16, 32, 48),
    ):
        super().__init__()
        self.inputs = frozenset(inputs)
        channels = 2 * features.MELS + features.FRAME_STATS + SCALARS
        stages: list[nn.Module] = []
        for i, width in enumerate(widths):
            kernel = 5 if i == 0 else 3
            stages += [
                nn.Conv1d(channels, width, kernel, stride=2, padding=kernel // 2),
                ResidualBlock(width),
            ]
            channels = width
        self.first = stages.pop(0)
        self.link = nn.Conv1d(features.LINK * features.MELS, widths[0], 3, padding=1)
        self.cnn = nn.Sequential(*stages, nn.GroupNorm(1, channels), nn.GELU())
        self.attention = nn.Conv1d(channels, heads, 1)
        self.values = nn.Conv1d(channels, channels // 3, 1)
        self.timeline = nn.Conv1d(channels, timeline, 1)
        self.frequency = nn.Sequential(
            nn.Conv1d(features.TRANSFER, 48, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(48, 64, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv1d(64, 64, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Flatten(),
        )
        self.score = ScoreReader(score_widths)
        self.join_score = nn.Linear(self.score.outputs, size, bias=False)
        nn.init.zeros_(self.join_score.weight)
        self.sweep = SweepReader(sweep_widths)
        self.join_sweep = nn.Linear(self.sweep.outputs, size, bias=False)
        nn.init.zeros_(self.join_sweep.weight)
        frames = features.FRAMES
        for _ in widths:
            frames = (frames + 1) // 2
        pooled = channels + heads * (channels // 3) + timeline * frames
        pooled += 64 * (features.BANDS // 4) + SCALARS
        self.join = nn.Sequential(
            nn.Linear(pooled, size), nn.GELU(), nn.Dropout(dropout), nn.Linear(size, size)
        )

    def forward(self, heard: dict[str, torch.Tensor]) -> torch.Tensor:
        known, level_known = heard["known"], heard["level_known"]
        use = {name: float(name in self.inputs) for name in OPTIONAL}
        over = known[:, None, None]
        difference = (heard["level"] - heard["source_level"]) * known * level_known
        scalars = torch.stack(
            [difference / 10, heard["source_level"] * known / 20, known, level_known], -1
        )
        frames = heard["mel"].shape[-1]
        picture = torch.cat(
            [
                (heard["mel"] + 40) / 20,
                (heard["source_mel"] + 40) / 20 * over * use["source_mel"],
                heard["stats"] / 10 * use["stats"],
                scalars[..., None].expand(-1, -1, frames),
            ],
            1,
        )
        x = self.first(picture) + self.link(heard["link"] * over * use["link"])
        x = self.cnn(x)  # (B, C, T)
        weights = self.attention(x).float().softmax(-1)  # (B, heads, T)
        looked = torch.einsum("bht,bct->bhc", weights.to(x.dtype), self.values(x)).flatten(1)
        scale = heard["transfer"].new_tensor([0.1, 1, 1, 1])[:, None]
        bands = self.frequency(heard["transfer"] * scale * over * use["transfer"])
        when = self.timeline(x).flatten(1)
        scores = (
            (heard["score"] * use["score"] + 40) / 20,
            (heard["source_score"] + 40) / 20 * over * use["score"],
            heard["score_link"] * over[..., None] * use["score"],
        )
        first, *rest = self.join
        z = first(torch.cat([x.mean(-1), looked, when, bands, scalars], -1))
        z = z + self.join_score(self.score(*scores)) + self.join_sweep(self.sweep(*scores))
        for layer in rest:
            z = layer(z)
        return z
