"""Candidates of the posterior rendered by the real effects."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import takewhile

import numpy as np
import torch

from unmix import effects
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.features import bandwidth, spectra
from unmix.networks.posterior import posterior_chain
from unmix.nn.mixture_density import Mixture, from_normal, short_way, to_normal
from unmix.runtime.workers import thread_map

SPREAD = 0.85  # of a belief about knobs that is left once they are settled
LIKELY = 0.02  # of the first one's probability: below, knobs stay as they are


def last_window(audio: np.ndarray, samples: int) -> torch.Tensor:
    """The last ``samples`` of a signal, and silence: (WINDOW,)."""
    return torch.from_numpy(np.pad(audio[audio.size - samples :], (0, spectra.WINDOW - samples)))


def render_candidates(
    chains: list, source: np.ndarray, samples: int, limit: float | None, begun: Sequence = ()
) -> list[torch.Tensor]:
    """The last ``samples`` of what each chain makes of the source, and silence: (WINDOW,).

    ``begun``: steps with which many of the chains begin; these are rendered once.
    """
    stages = [source]
    for step in begun:
        stages.append(Chain([step]).render(stages[-1], SAMPLE_RATE))

    def render(chain) -> torch.Tensor:
        pairs = zip(begun, chain.steps, strict=False)
        shared = len(list(takewhile(lambda both: both[0] == both[1], pairs)))
        audio = Chain(chain.steps[shared:]).render(stages[shared], SAMPLE_RATE)
        return last_window(audio if limit is None else bandwidth.low_pass(audio, limit), samples)

    return thread_map(render, chains)


def band_limit_of(posteriors: list, recording: np.ndarray, source: np.ndarray) -> float | None:
    """The recording's band limit in Hz, by the render of the most probable belief; None without.

    Args:
        beliefs, recording, source: as of ``correct_bias``.
    """
    render = render_candidates(median_chains(posteriors[:1]), source, recording.size, None)[0]
    return bandwidth.find(recording, render[: recording.size].numpy())


def likely_count(posteriors: list) -> int:
    """How many of K beliefs, the most probable first, are LIKELY."""
    least = posteriors[0].log_prob + math.log(LIKELY)
    return sum(posterior.log_prob >= least for posterior in posteriors)


class PosteriorBatch:
    """What K beliefs say of the knobs, effect by effect, as one batch each.

    Attributes:
        rows: {effect: which of the beliefs have it}, n of them.
        mixtures: {effect: Mixture of batch n}.
        medians: {effect: (n, knobs)}: numbers in normal space, angles in turns.
    """

    def __init__(self, posteriors: list):
        self.posteriors = posteriors
        rows = {
            name: [row for row, posterior in enumerate(posteriors) if name in posterior.mixtures]
            for name in posteriors[0].effects.names
        }
        self.rows = {name: found for name, found in rows.items() if found}
        self.mixtures = {
            name: Mixture.joined([posteriors[row].mixtures[name] for row in found])
            for name, found in self.rows.items()
        }
        self.circular = {
            name: torch.from_numpy(effects.get(name).panel.circular) for name in self.rows
        }
        medians = {name: mixture.median() for name, mixture in self.mixtures.items()}
        self.medians = {name: self._free(name, u) for name, u in medians.items()}

    def _free(self, name: str, u: torch.Tensor) -> torch.Tensor:
        return torch.where(self.circular[name], u, to_normal(u))

    def chains(self, places: dict[str, torch.Tensor]) -> list:
        """The chains with their knobs at ``places``, as of ``medians``."""
        knobs = [{} for _ in self.posteriors]
        for name, place in places.items():
            u = torch.where(self.circular[name], place, from_normal(place))
            for row, values in zip(self.rows[name], u, strict=True):
                knobs[row][name] = values
        return [posterior_chain(*both) for both in zip(self.posteriors, knobs, strict=True)]

    def above(self, name: str, u: torch.Tensor) -> torch.Tensor:
        """How far the medians of an effect lie above u (n, knobs) in 0…1."""
        off = self.medians[name] - self._free(name, u)
        return torch.where(self.circular[name], short_way(off), off)

    def moved(self, places: dict[str, torch.Tensor]) -> list:
        """The beliefs, surer by SPREAD, with the medians of their mixtures at ``places``."""
        mixtures = [{} for _ in self.posteriors]
        for name, place in places.items():
            moved = self.mixtures[name].moved(self.medians[name], place, SPREAD).parts()
            for row, mixture in zip(self.rows[name], moved, strict=True):
                mixtures[row][name] = mixture
        both = zip(self.posteriors, mixtures, strict=True)
        return [dataclasses.replace(posterior, mixtures=own) for posterior, own in both]


def median_chains(posteriors: list) -> list:
    """The chains of beliefs with their median knobs."""
    batch = PosteriorBatch(posteriors)
    return batch.chains(batch.medians)
