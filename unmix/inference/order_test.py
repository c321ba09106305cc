"""Which of two orders a recording leans to, by what knobs do not explain.

While its knobs are a little off, a render differs from the recording mostly by what the knobs do,
in any order of the effects, so that the size of its errors hardly tells the orders apart. So what
small movements of the knobs do is taken out of what is compared: the recording less a render, and
another order at the same knobs less that render. How the rest of the one lies along the rest of the
other is a test of the order that does not mind small errors of the knobs (a score test with
nuisance parameters: Cox and Hinkley, "Theoretical Statistics", 1974, section 9.3).
"""

from __future__ import annotations

import numpy as np
import torch

from unmix.chain import Chain
from unmix.features import maps
from unmix.features.spectra import Spectra
from unmix.inference.residuals import QUIET_DB
from unmix.inference.resynthesis import PosteriorBatch, last_window, likely_count, render_candidates
from unmix.runtime.workers import thread_map

SAME = 1e-6  # of the largest eigenvalue: directions below are those of others


def _taken_out(differences: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(n, D) less what lies in the span of ``directions`` (m, D)."""
    unit = directions / (np.linalg.norm(directions, axis=1, keepdims=True) + 1e-9)
    values, vectors = np.linalg.eigh(unit @ unit.T)
    apart = values > SAME * values[-1]
    basis = (vectors[:, apart] / np.sqrt(values[apart])).T @ unit
    return differences - differences @ basis.T @ basis


def order_score(recording: np.ndarray, others: np.ndarray, perturbed: np.ndarray) -> np.ndarray:
    """How a recording leans from a render to each of n others: (n,), −1…1.

    With e and b for recording and other, without what nudges of the knobs explain: the cosine
    between e − b / 2 and b. Above 0 where the recording is nearer to the other.

    Args:
        recording: any picture of it less that of the render, as all pictures here, (D,).
        others: of the same effects in other orders, at the same knobs, (n, D).
        nudged: of the same chain with one knob moved a little in each, (m, D).
    """
    e, *b = _taken_out(np.vstack([recording[None], others]), perturbed)
    b = np.stack(b)
    e = e - b / 2
    return (e * b).sum(1) / (np.linalg.norm(e, axis=1) * np.linalg.norm(b, axis=1) + 1e-9)


STEP, STEP_TURNS = 0.1, 0.01  # of a knob in normal space, of an angle


BASES = 2  # the most probable beliefs, from which others are looked at


MOST_DB = 3.0  # that levels differ there


VIEWS = 2  # levels and link


def _perturbed_chains(batch: PosteriorBatch) -> list:
    """The chain of a lone belief with each of its knobs moved a little, to its middle."""
    chains = []
    for name, medians in batch.medians.items():
        step = torch.where(medians > 0, -STEP, STEP)
        step = torch.where(batch.circular[name], STEP_TURNS, step)
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
    """How the recording leans to K beliefs: (K, BASES, VIEWS), by ``unmix.order_scores``.

    From each of the BASES first beliefs, at its knobs, to those with the same effects in other
    orders, by the levels on the score and by its link with the source; 0 for all others, and for
    and from those that are not LIKELY. Arguments as of ``errors``.
    """
    found = torch.zeros(len(posteriors), BASES, VIEWS)
    likely = posteriors[: likely_count(posteriors)]
    wet, dry = (Spectra(last_window(audio, recording.size)) for audio in (recording, source))
    loud = features["score"][0].numpy() > QUIET_DB

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
        levels, links = (np.stack(view).astype(np.float64) for view in seen)
        levels = np.clip(levels - levels[1], -MOST_DB, MOST_DB)
        levels = np.vstack([levels, np.ones_like(levels[:1])])  # a gain is like a knob
        for view, off in enumerate((levels, links - links[1])):
            reordered, perturbed = np.split(off[2:], [len(others)])
            scores = order_score(off[0], reordered, perturbed)
            found[others, place, view] = torch.from_numpy(scores).float()
    return found
