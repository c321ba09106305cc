"""Parts that read the pictures of a recording; the encoder and the heads are made of them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unmix import features

SCALARS = 4  # level difference, source level, and whether each is known
SCORES = ("score", "source_score", "score_link")
# {picture: what must be heard for it, beside the recording's log-mel}
PICTURES = {
    "mel": None,
    "source_mel": "source_mel",
    "stats": "stats",
    "transfer": "transfer",
    "link": "link",
    **dict.fromkeys(SCORES, "score"),
}
OPTIONAL = tuple(dict.fromkeys(name for name in PICTURES.values() if name))
IN_DECIBELS = ("mel", "source_mel", "score", "source_score")
OF_SOURCE = ("source_mel", "transfer", "link", "source_score", "score_link")


def look(heard: dict[str, torch.Tensor], inputs=OPTIONAL) -> dict[str, torch.Tensor]:
    """The pictures of a batch as the readers take them in: about 1 in size, 0 where not known.

    Args:
        heard: as ``features.extract`` gives it (batch B), with ``level_known`` (B,) beside; a
            picture that nobody reads may be missing.
        inputs: those of OPTIONAL that are heard; the others count as 0.

    Returns:
        PICTURES, each of the shape that it has in ``heard``, and scalars (B, SCALARS).
    """
    known, level_known = heard["known"], heard["level_known"]
    pictures = {}
    for name, needs in PICTURES.items():
        if name not in heard:
            continue
        picture = heard[name]
        if name in IN_DECIBELS:
            picture = (picture + 40) / 20
        elif name == "stats":
            picture = picture / 10
        elif name == "transfer":
            picture = torch.cat([0.1 * picture[:, :1], picture[:, 1:]], 1)
        if name in OF_SOURCE:
            picture = picture * known.view(-1, *[1] * (picture.ndim - 1))
        pictures[name] = picture if needs is None or needs in inputs else picture * 0
    difference = (heard["level"] - heard["source_level"]) * known * level_known
    pictures["scalars"] = torch.stack(
        [difference / 10, heard["source_level"] * known / 20, known, level_known], -1
    )
    return pictures


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


class LevelReader(nn.Module):
    """2D CNN over level and frequency: what the chain does at each level of each band, whenever.

    Of an unknown source no frame is a known moment, so frames are sorted by level instead: by that
    of the source in the band itself, by that of the source over some octaves around it, and by that
    of the whole recording. Of the frames at a level, band by band, it gets the share, the mean gain
    and its spread, how the gain goes with a rising level, and the link; of the recording's levels
    the spectrum instead of what rises.

    Shape: score, source_score, score_link as for ScoreReader -> (B, ``outputs``).
    """

    STEP = 0.5
    LEVELS = torch.arange(-2.0, 2.51, STEP)  # as ``look`` gives them: −80 dB to 10 dB
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
        self.outputs = channels * rows * (features.BANDS // 4)

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
        heard = [gain, gain.square(), real, imaginary, size]
        moving = torch.stack([*heard, 2 * rise * gain, 4 * rise * turn], -1)
        shaped = torch.stack([*heard, shape, shape.square()], -1)
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
    """Of a level as ``look`` gives it."""
    return torch.pow(10.0, 2 * level)


def _level(power):
    """The reverse of _power."""
    return power.clamp_min(1e-12).log10() / 2


class TextureReader(nn.Module):
    """2D CNN over time and frequency on how recording and source relate, then pooled over time.

    Of an unknown source no frame is a known moment: what is found counts wherever it stands.

    Args:
        widths: channels of the stages; each halves the bands, the second and third the frames.
        channels: of what is found, frame by frame.
        heads, values: learned attention poolings, and channels of what they look at; mean and
            spread of all channels beside them.

    Shape: score, source_score, score_link as for ScoreReader -> (B, ``outputs``).
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
        self.gather = nn.Conv1d(third * (features.BANDS // 8), channels, 1)
        self.attention = nn.Conv1d(channels, heads, 1)
        self.values = nn.Conv1d(channels, values, 1)
        self.outputs = 2 * channels + heads * values

    def forward(self, score, source_score, score_link):
        gain = (score - source_score).clamp(-3, 3)
        size = (score_link.square().sum(1) + 1e-8).sqrt()
        place = torch.linspace(-1, 1, features.BANDS, device=score.device).expand_as(score)
        planes = [gain, source_score, score, size, place]
        found = self.cnn(torch.cat([torch.stack(planes, 1), score_link], 1))
        found = F.gelu(self.gather(found.transpose(2, 3).flatten(1, 2)))  # (B, channels, frames)
        looked = attend(found, self.attention, self.values)
        return torch.cat([found.mean(-1), found.float().std(-1).to(found.dtype), looked], -1)


class FrequencyReader(nn.Sequential):
    """1D CNN over the bands of the transfer function: (B, TRANSFER, BANDS) -> (B, ``outputs``)."""

    def __init__(self, first=48, channels=64):
        super().__init__(
            nn.Conv1d(features.TRANSFER, first, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(first, channels, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv1d(channels, channels, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Flatten(),
        )
        self.outputs = channels * (features.BANDS // 4)


class StatsReader(nn.Sequential):
    """1D CNN over the frames of the statistics: (B, FRAME_STATS, FRAMES) -> (B, ``outputs``)."""

    def __init__(self, channels=16):
        super().__init__(
            nn.Conv1d(features.FRAME_STATS, channels, 5, stride=4, padding=2),
            nn.GELU(),
            nn.Conv1d(channels, channels, 5, stride=4, padding=2),
            nn.GELU(),
            nn.Flatten(),
        )
        frames = features.FRAMES
        for _ in range(2):
            frames = (frames + 3) // 4
        self.outputs = channels * frames


class KnobReader(nn.Module):
    """Everything of a recording that the knobs of one effect may stand in.

    Shape: pictures as ``look`` gives them (batch B), of which READS -> (B, ``outputs``).
    """

    READS = (*SCORES, "transfer", "stats", "scalars")

    def __init__(self, score_widths=(96, 96), sweep_widths=(16, 32, 48)):
        super().__init__()
        self.score = ScoreReader(score_widths, 32)
        self.sweep = SweepReader(sweep_widths)
        self.frequency = FrequencyReader(64)
        self.stats = StatsReader()
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
