"""How renders of candidates differ from the recording: the re-ranker's inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional as F

from unmix.features import maps, spectra
from unmix.features.extract import extract
from unmix.features.spectra import Spectra
from unmix.inference.resynthesis import last_window, median_chains, render_candidates
from unmix.runtime.workers import thread_map


@dataclass(frozen=True)
class Residuals:
    """Settings of the stage.

    Attributes:
        cell: frames and bands of the log-frequency spectrogram, and bands of the transfer function,
            that one number is the mean of. Compared with cells twice as large in a trial, whose
            held-out loss was a little higher; else not tuned.
        stats_frames: frames of the statistics that one number is the mean of. Not tuned.
        quiet_db: below the recording's level; what is quieter is left out of the means over time
            and over bands that are subtracted. Not tuned.
        floors: {kind of residual of the spectrogram: added before the logarithm}, in dB or as a
            share; they decide what counts as no difference. Not tuned.
        transfer_floor, stats_floor, level_floor: the same of the other features. Not tuned.
    """

    cell: int = 8
    stats_frames: int = 32
    quiet_db: float = -60.0
    floors: dict = field(
        default_factory=lambda: {
            "level": 0.05,
            "level_over_time": 0.05,  # less the mean of its band
            "level_over_bands": 0.05,  # less the mean of its frame
            "coherence": 0.003,
            "phase": 0.003,
            "link": 0.01,
        }
    )
    transfer_floor: float = 1e-3
    stats_floor: float = 1e-2
    level_floor: float = 1e-2


SETTINGS = Residuals()
COMPARED = "score", "score_link", "transfer", "stats"
ON_SPECTROGRAM = SETTINGS.floors
CELLS = -(-spectra.SCORE_FRAMES // SETTINGS.cell) * (spectra.BANDS // SETTINGS.cell)
RESIDUALS = (
    len(ON_SPECTROGRAM) * (CELLS + 1)
    + maps.TRANSFER * (spectra.BANDS // SETTINGS.cell)
    + maps.FRAME_STATS * (spectra.FRAMES // SETTINGS.stats_frames)
    + 1
)


def residual_features(
    posteriors: list,
    features: dict,
    recording: np.ndarray,
    source: np.ndarray,
    limit: float | None = None,
) -> torch.Tensor:
    """How the renders of K candidates differ from a recording: (K, RESIDUALS) logarithms.

    Args:
        posteriors: networks.posterior.Posterior of each candidate chain.
        features: of the recording (batch 1), with ``level_known``.
        recording: float32 (samples,), at most WINDOW.
        source: float32, aligned with the recording's end; what it has more at its beginning is its
            lead, which goes through the effects and is not compared.
        limit: the recording's band limit in Hz, which the renders get too.

    Returns:
        Logarithms of mean residuals: ON_SPECTROGRAM in cells of the log-frequency spectrogram, then
        in the whole (levels; complex coherence of recording and render; coherence of each with the
        source); of the transfer function in runs of bands; of the frame statistics in runs of
        frames; and of the level.
    """
    renders = render_candidates(median_chains(posteriors), source, recording.size, limit)
    wet = Spectra(last_window(recording, recording.size))
    coherence = thread_map(
        lambda audio: maps.log_spectrogram_coherence(wet, Spectra(audio)), renders
    )
    dry = last_window(source, recording.size)[None]
    of_renders = extract(torch.stack(renders), dry, COMPARED)
    off = {name: of_renders[name] - features[name] for name in (*COMPARED, "level")}
    loud, level_known = features["score"] > SETTINGS.quiet_db, features["level_known"]
    residuals = [
        *_on_spectrogram(
            off["score"], torch.from_numpy(np.stack(coherence)), off["score_link"], loud
        ),
        (F.avg_pool1d(off["transfer"].abs(), SETTINGS.cell) + SETTINGS.transfer_floor)
        .log()
        .flatten(1),
        (F.avg_pool1d(off["stats"].abs(), SETTINGS.stats_frames) + SETTINGS.stats_floor)
        .log()
        .flatten(1),
        ((off["level"] * level_known).abs() + SETTINGS.level_floor).log()[:, None],
    ]
    return torch.cat(residuals, 1)


def _on_spectrogram(off, coherence, of_source, loud) -> list[torch.Tensor]:
    """ON_SPECTROGRAM, as logarithms in cells, and in the whole.

    Args:
        off: level differences (K, SCORE_FRAMES, BANDS).
        coherence: complex coherence of recording and render (K, LINK, SCORE_FRAMES, BANDS).
        of_source: differences of their coherences with the source, of the same shape.
        loud: bool (1, SCORE_FRAMES, BANDS), where the recording is not quiet.
    """

    def less_mean(dim: int) -> torch.Tensor:
        return off - (off * loud).sum(dim, keepdim=True) / (loud.sum(dim, keepdim=True) + 1)

    kinds = [
        off.abs(),
        less_mean(-2).abs(),
        less_mean(-1).abs(),
        (1 - coherence.square().sum(1).sqrt()).clamp(0, 1),
        (1 - coherence[:, 0]).clamp_min(0),
        of_source.abs().sum(1),
    ]
    kinds = torch.stack(kinds, 1)  # (K, kinds, frames, bands)
    floors = torch.tensor(list(ON_SPECTROGRAM.values()))[:, None, None]
    cells = F.avg_pool2d(kinds, SETTINGS.cell, ceil_mode=True, count_include_pad=False)
    whole = kinds.mean((-1, -2), keepdim=True)
    return [(part + floors).log().flatten(1) for part in (cells, whole)]
