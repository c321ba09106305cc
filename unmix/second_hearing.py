"""The second hearing: candidates rendered, and ranked by how they differ from the recording.

To name a chain at first hearing, a network must know how every order of every effect sounds at any
knobs. Here each of its candidates is rendered by the real effects, once, with the knobs that it
expects. No render is right, but where it differs from the recording, and in what, says which order
was. Nothing is fitted; where the source is hidden, there is no second hearing.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch.nn import functional as F

from unmix import features
from unmix.dataset import MAX_LENGTH
from unmix.features import Spectra
from unmix.starts import prediction

CELL = 8  # frames and bands of the score that one number stands for
# {kind of error on the score: what counts as none}, in dB or as a share
ON_SCORE = {
    "level": 0.05,
    "level_over_time": 0.05,  # less the mean of its band
    "level_over_bands": 0.05,  # less the mean of its frame
    "coherence": 0.003,
    "phase": 0.003,
    "link": 0.01,
}
QUIET_DB = -60.0  # below the recording's level: not in the means over time and bands
CELLS = -(-features.SCORE_FRAMES // CELL) * (features.BANDS // CELL)
STATS_FRAMES = 32  # frames of the statistics that one number stands for
STATS_CELLS = features.FRAMES // STATS_FRAMES
ERRORS = (
    len(ON_SCORE) * (CELLS + 1)
    + features.TRANSFER * (features.BANDS // CELL)
    + features.FRAME_STATS * STATS_CELLS
    + 1
)


def orders(beliefs: list) -> torch.Tensor:
    """(K, MAX_LENGTH) effect numbers of inverse.model.Beliefs, −1 behind the end."""
    rows = [(*belief.order, *[-1] * (MAX_LENGTH - len(belief.order))) for belief in beliefs]
    return torch.tensor(rows)


def errors(beliefs: list, heard: dict, recording: np.ndarray, source: np.ndarray) -> torch.Tensor:
    """How the renders of K beliefs differ from a recording: (K, ERRORS) logarithms.

    Args:
        beliefs: inverse.model.Belief. heard: features of the recording (batch 1) that they are
            about, with ``level_known``.
        recording: float32 (samples,), at most WINDOW.
        source: float32, aligned with the recording's end; what it has more is its lead: heard by
            the effects, and not compared.

    Returns:
        Mean errors, each in the logarithm: ON_SCORE in cells of CELL by CELL and in the whole
        (levels; complex coherence of recording and render; the score's link of each with the
        source), of the transfer function in runs of CELL bands, of the frame statistics in runs of
        STATS_FRAMES; and of the level.
    """

    def window(audio: np.ndarray) -> torch.Tensor:
        audio = audio[audio.size - recording.size :]
        return torch.from_numpy(np.pad(audio, (0, features.WINDOW - audio.size)))

    chains = [prediction(belief).chain for belief in beliefs]
    renders = [window(chain.render(source, features.SAMPLE_RATE)) for chain in chains]
    wet, dry, *spectra = (Spectra(audio) for audio in (window(recording), window(source), *renders))

    def of_all(picture) -> torch.Tensor:
        return torch.from_numpy(np.stack([picture(y) for y in spectra]))

    levels = torch.tensor([y.level for y in spectra])
    transfer = of_all(lambda y: features.relative_transfer(y, dry)) - heard["transfer"]
    stats = features.relative_stats(torch.stack(renders), levels) - heard["stats"]
    found = [
        *_on_score(
            of_all(features.score) - heard["score"],
            of_all(lambda y: features.score_link(wet, y)),
            of_all(lambda y: features.score_link(y, dry)) - heard["score_link"],
            heard["score"] > QUIET_DB,
        ),
        (F.avg_pool1d(transfer.abs(), CELL) + 1e-3).log().flatten(1),
        (F.avg_pool1d(stats.abs(), STATS_FRAMES) + 1e-2).log().flatten(1),
        (((levels - heard["level"]) * heard["level_known"]).abs() + 1e-2).log()[:, None],
    ]
    return torch.cat(found, 1)


def _on_score(off, match, link, loud) -> list[torch.Tensor]:
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
    none = torch.tensor(list(ON_SCORE.values()))[:, None, None]
    cells = F.avg_pool2d(kinds, CELL, ceil_mode=True, count_include_pad=False)
    whole = kinds.mean((-1, -2), keepdim=True)
    return [(part + none).log().flatten(1) for part in (cells, whole)]


@torch.no_grad()
def hear_again(reranker, beliefs: list, heard: dict, recording, source) -> list:
    """Beliefs about a recording, ranked anew.

    Args:
        reranker: an inverse.reranker.Reranker on the CPU.
        beliefs, heard, recording, source: as of ``errors``.

    Returns:
        The beliefs, most probable first, each with its new ``log_prob``. All together are as
        probable as before.
    """
    log_prob = torch.tensor([belief.log_prob for belief in beliefs])
    found = errors(beliefs, heard, recording, source)
    ranked = reranker(found[None], orders(beliefs)[None], log_prob[None])[0]
    ranked = (ranked + log_prob.logsumexp(0)).tolist()
    again = [
        dataclasses.replace(belief, log_prob=p) for belief, p in zip(beliefs, ranked, strict=True)
    ]
    return sorted(again, key=lambda belief: -belief.log_prob)
