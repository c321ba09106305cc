"""How renders of candidates differ from the recording: the re-ranker's inputs."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from unmix.features import maps, spectra
from unmix.features.extract import extract
from unmix.features.spectra import Spectra
from unmix.inference.resynthesis import last_window, median_chains, render_candidates
from unmix.runtime.workers import thread_map

CELL = 8  # frames and bands of the score that one number stands for


# {kind of error on the score: what counts as none}, in dB or as a share
ON_SPECTROGRAM = {
    "level": 0.05,
    "level_over_time": 0.05,  # less the mean of its band
    "level_over_bands": 0.05,  # less the mean of its frame
    "coherence": 0.003,
    "phase": 0.003,
    "link": 0.01,
}


COMPARED = "score", "score_link", "transfer", "stats"


QUIET_DB = -60.0  # below the recording's level: not in the means over time and bands


CELLS = -(-spectra.SCORE_FRAMES // CELL) * (spectra.BANDS // CELL)


STATS_FRAMES = 32  # frames of the statistics that one number stands for


STATS_CELLS = spectra.FRAMES // STATS_FRAMES


RESIDUALS = (
    len(ON_SPECTROGRAM) * (CELLS + 1)
    + maps.TRANSFER * (spectra.BANDS // CELL)
    + maps.FRAME_STATS * STATS_CELLS
    + 1
)


def residual_features(
    posteriors: list,
    features: dict,
    recording: np.ndarray,
    source: np.ndarray,
    limit: float | None = None,
) -> torch.Tensor:
    """How the renders of K beliefs differ from a recording: (K, RESIDUALS) logarithms.

    Args:
        beliefs: inverse.model.Belief. heard: features of the recording (batch 1) that they are
            about, with ``level_known``.
        recording: float32 (samples,), at most WINDOW.
        source: float32, aligned with the recording's end; what it has more is its lead: heard by
            the effects, and not compared.
        limit: the recording's band limit in Hz, which the renders are given too.

    Returns:
        Mean errors, each in the logarithm: ON_SPECTROGRAM in cells of CELL by CELL and in the whole
        (levels; complex coherence of recording and render; the score's link of each with the
        source), of the transfer function in runs of CELL bands, of the frame statistics in runs of
        STATS_FRAMES; and of the level.
    """
    renders = render_candidates(median_chains(posteriors), source, recording.size, limit)
    wet = Spectra(last_window(recording, recording.size))
    match = thread_map(lambda audio: maps.log_spectrogram_coherence(wet, Spectra(audio)), renders)
    dry = last_window(source, recording.size)[None]
    again = extract(torch.stack(renders), dry, COMPARED)
    off = {name: again[name] - features[name] for name in (*COMPARED, "level")}
    loud, level_known = features["score"] > QUIET_DB, features["level_known"]
    found = [
        *_on_spectrogram(off["score"], torch.from_numpy(np.stack(match)), off["score_link"], loud),
        (F.avg_pool1d(off["transfer"].abs(), CELL) + 1e-3).log().flatten(1),
        (F.avg_pool1d(off["stats"].abs(), STATS_FRAMES) + 1e-2).log().flatten(1),
        ((off["level"] * level_known).abs() + 1e-2).log()[:, None],
    ]
    return torch.cat(found, 1)


def _on_spectrogram(off, match, link, loud) -> list[torch.Tensor]:
    """ON_SCORE from the differences of the scores (K, SCORE_FRAMES, BANDS), the complex coherence
    (K, LINK, SCORE_FRAMES, BANDS), the differences of the links, and where the recording is loud:
    in cells, and in the whole."""

    def less_mean(dim: int) -> torch.Tensor:
        return off - (off * loud).sum(dim, keepdim=True) / (loud.sum(dim, keepdim=True) + 1)

    kinds = [
        off.abs(),
        less_mean(-2).abs(),
        less_mean(-1).abs(),
        (1 - match.square().sum(1).sqrt()).clamp(0, 1),
        (1 - match[:, 0]).clamp_min(0),
        link.abs().sum(1),
    ]
    kinds = torch.stack(kinds, 1)  # (K, kinds, frames, bands)
    none = torch.tensor(list(ON_SPECTROGRAM.values()))[:, None, None]
    cells = F.avg_pool2d(kinds, CELL, ceil_mode=True, count_include_pad=False)
    whole = kinds.mean((-1, -2), keepdim=True)
    return [(part + none).log().flatten(1) for part in (cells, whole)]
