"""Order test: which order of the effects the recording is nearer to, whatever small knob errors do.

While its knobs are a little off, a render differs from the recording mostly by what the knobs do,
in any order of the effects, so that the size of the residual hardly tells the orders apart. The
part of the residual that small knob changes cannot explain is tested against each other order of
the effects: a score test with nuisance parameters (Cox and Hinkley, "Theoretical Statistics", 1974,
section 9.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from unmix.chain import Chain
from unmix.features import maps
from unmix.features.spectra import Spectra
from unmix.inference.residuals import SETTINGS as RESIDUAL_SETTINGS
from unmix.inference.resynthesis import PosteriorBatch, last_window, likely_count, render_candidates
from unmix.runtime.workers import thread_map

# shape of the order scores, and so of the re-ranker's weights for them
BASES = 2  # candidates that others are compared from: the most probable ones
VIEWS = 2  # what is compared: levels, and coherence with the source


@dataclass(frozen=True)
class OrderTest:
    """Settings of the stage. None of them is tuned.

    Attributes:
        step: of a knob in normal space, to find the direction in which it moves a render.
        step_turns: of an angle, in turns.
        most_db: level differences count no more than this.
        same: eigenvalues below this share of the largest belong to no direction of their own.
    """

    step: float = 0.1
    step_turns: float = 0.01
    most_db: float = 3.0
    same: float = 1e-6


SETTINGS = OrderTest()


def _projected_out(differences: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(n, D) less what lies in the span of ``directions`` (m, D)."""
    unit = directions / (np.linalg.norm(directions, axis=1, keepdims=True) + 1e-9)
    values, vectors = np.linalg.eigh(unit @ unit.T)
    apart = values > SETTINGS.same * values[-1]
    basis = (vectors[:, apart] / np.sqrt(values[apart])).T @ unit
    return differences - differences @ basis.T @ basis


def order_score(recording: np.ndarray, others: np.ndarray, perturbed: np.ndarray) -> np.ndarray:
    """How much nearer a recording is to each of n other orders than to a render: (n,), −1…1.

    With e and b for recording and other order, less what small knob changes explain: the cosine
    between e − b / 2 and b. Above 0 where the recording is nearer to the other order.

    Args:
        recording: its representation less that of the render, as all of them here, (D,).
        others: of the same effects in other orders, at the same knobs, (n, D).
        perturbed: of the same chain with one knob moved a little in each, (m, D).
    """
    e, *b = _projected_out(np.vstack([recording[None], others]), perturbed)
    b = np.stack(b)
    e = e - b / 2
    return (e * b).sum(1) / (np.linalg.norm(e, axis=1) * np.linalg.norm(b, axis=1) + 1e-9)


def _perturbed_chains(batch: PosteriorBatch) -> list:
    """The chain of a single posterior with each knob moved a little, towards its middle."""
    chains = []
    for name, medians in batch.medians.items():
        step = torch.where(medians > 0, -SETTINGS.step, SETTINGS.step)
        step = torch.where(batch.circular[name], SETTINGS.step_turns, step)
        for one in torch.eye(medians.shape[1]):
            chains += batch.chains(batch.medians | {name: medians + one * step})
    return chains


def order_scores(
    posteriors: list,
    features: dict,
    recording: np.ndarray,
    source: np.ndarray,
    limit: float | None = None,
) -> torch.Tensor:
    """Order scores of K candidates: (K, BASES, VIEWS).

    From each of the first BASES, at its knobs, to those with the same effects in other orders: by
    the levels of the log-frequency spectrogram, and by its coherence with the source. 0 for all
    others, and for and from those that are not likely (``resynthesis.likely_count``). Arguments as
    of ``residuals.residual_features``.
    """
    scores = torch.zeros(len(posteriors), BASES, VIEWS)
    likely = posteriors[: likely_count(posteriors)]
    wet, dry = (Spectra(last_window(audio, recording.size)) for audio in (recording, source))
    loud = features["score"][0].numpy() > RESIDUAL_SETTINGS.quiet_db

    def views(y: Spectra) -> tuple[np.ndarray, np.ndarray]:
        levels = maps.log_spectrogram(y)[loud]
        return levels, maps.log_spectrogram_coherence(y, dry)[:, loud].ravel()

    for place, base in enumerate(likely[:BASES]):
        others = [
            row
            for row, posterior in enumerate(likely)
            if posterior is not base and set(posterior.order) == set(base.order)
        ]
        if not others:
            continue
        batch = PosteriorBatch([base])
        (chain,) = batch.chains(batch.medians)
        settings = dict(chain.steps)
        chains = [
            Chain([(name, settings[name]) for name in posteriors[row].names]) for row in others
        ]
        chains = [chain, *chains, *_perturbed_chains(batch)]
        renders = render_candidates(chains, source, recording.size, limit, chain.steps)
        seen = zip(*thread_map(views, [wet, *map(Spectra, renders)]), strict=True)
        levels, coherences = (np.stack(view).astype(np.float64) for view in seen)
        levels = np.clip(levels - levels[1], -SETTINGS.most_db, SETTINGS.most_db)
        levels = np.vstack([levels, np.ones_like(levels[:1])])  # a gain is like a knob
        for view, off in enumerate((levels, coherences - coherences[1])):
            reordered, perturbed = np.split(off[2:], [len(others)])
            found = order_score(off[0], reordered, perturbed)
            scores[others, place, view] = torch.from_numpy(found).float()
    return scores
