"""The table of features: one row for each input of the networks.

Extraction, data sets, the networks' inputs and the masks of training read it. A new feature is one
function, one row here, and one branch of a network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from unmix.features import maps
from unmix.features.amplitude_histogram import AMPLITUDES
from unmix.features.maps import FRAME_STATS, LINK, LINK_FRAMES, TRANSFER
from unmix.features.nonlinear_coherence import SHAPING
from unmix.features.spectra import BANDS, FRAMES, MELS, SCORE_FRAMES, Spectra

VERSION = 5  # data sets with features of another version are not mixed


@dataclass(frozen=True)
class Byte:
    """One byte a number in data sets: the value of 0, and one step."""

    zero: float
    step: float


@dataclass(frozen=True)
class Feature:
    """One input of the networks.

    Attributes:
        name: its key in features and data sets.
        shape: of one recording.
        of: Spectra of recording and source -> float32 array of that shape.
        needs_source: zeros where the source is not known.
        stored: how data sets hold it; float16 if None.
        scale: a batch of it -> about 1 in size, as the networks take it in.
        axes: (time, frequency) as dimensions counted from the end; None where it has no such axis.
        group: features that are left out of a network's inputs together; those without one always
            count.
        grid: the shape in which ``axes`` count, if that is not ``shape``.
    """

    name: str
    shape: tuple[int, ...]
    of: Callable[[Spectra, Spectra | None], np.ndarray]
    needs_source: bool = False
    stored: Byte | None = None
    scale: Callable[[torch.Tensor], torch.Tensor] = lambda values: values
    axes: tuple[int | None, int | None] = (None, None)
    group: str | None = None
    grid: tuple[int, ...] | None = None


def _scaled_levels(values: torch.Tensor) -> torch.Tensor:
    return (values + 40) / 20


def _scaled_transfer(values: torch.Tensor) -> torch.Tensor:
    return torch.cat([0.1 * values[:, :1], values[:, 1:]], 1)


LEVELS = {"stored": Byte(-40.0, 0.5), "scale": _scaled_levels}  # in dB
COHERENCE = {"stored": Byte(0.0, 1 / 127)}
SOURCE = {"needs_source": True}
MEL = {"shape": (MELS, FRAMES), "axes": (-1, -2)}
LOG_SPECTROGRAM = {"axes": (-2, -1), "group": "score"}
HISTOGRAM = {"shape": (AMPLITUDES,), "scale": lambda values: 2 * values, "group": "amplitudes"}

FEATURES = (
    Feature("mel", of=lambda y, x: maps.mel_spectrogram(y), **MEL, **LEVELS),
    Feature(
        "source_mel",
        of=lambda y, x: maps.mel_spectrogram(x),
        group="source_mel",
        **MEL,
        **LEVELS,
        **SOURCE,
    ),
    Feature(
        "stats",
        (FRAME_STATS, FRAMES),
        lambda y, x: maps.relative_frame_stats(y),
        scale=lambda values: values / 10,
        axes=(-1, None),
        group="stats",
    ),
    Feature(
        "transfer",
        (TRANSFER, BANDS),
        maps.transfer_function,
        scale=_scaled_transfer,
        axes=(None, -1),
        group="transfer",
        **SOURCE,
    ),
    Feature(
        "shaped",
        (SHAPING, BANDS),
        maps.nonlinear_coherence,
        axes=(None, -1),
        group="shaped",
        **SOURCE,
    ),
    Feature(
        "link",
        (LINK * MELS, LINK_FRAMES),
        maps.mel_coherence,
        axes=(-1, -2),
        group="link",
        grid=(LINK, MELS, LINK_FRAMES),
        **COHERENCE,
        **SOURCE,
    ),
    Feature(
        "score",
        (SCORE_FRAMES, BANDS),
        lambda y, x: maps.log_spectrogram(y),
        **LOG_SPECTROGRAM,
        **LEVELS,
    ),
    Feature(
        "source_score",
        (SCORE_FRAMES, BANDS),
        lambda y, x: maps.log_spectrogram(x),
        **LOG_SPECTROGRAM,
        **LEVELS,
        **SOURCE,
    ),
    Feature(
        "score_link",
        (LINK, SCORE_FRAMES, BANDS),
        maps.log_spectrogram_coherence,
        **LOG_SPECTROGRAM,
        **COHERENCE,
        **SOURCE,
    ),
    Feature("amplitudes", of=lambda y, x: y.amplitudes, **HISTOGRAM),
    Feature("source_amplitudes", of=lambda y, x: x.amplitudes, **HISTOGRAM, **SOURCE),
)
NAMES = tuple(feature.name for feature in FEATURES)
GROUPS = tuple(dict.fromkeys(feature.group for feature in FEATURES if feature.group))
BY_NAME = {feature.name: feature for feature in FEATURES}


def of_group(group: str) -> tuple[str, ...]:
    """Names of the features of a group."""
    return tuple(feature.name for feature in FEATURES if feature.group == group)
