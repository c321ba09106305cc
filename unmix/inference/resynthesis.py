"""Resynthesis: candidates of the posterior rendered by the real effects."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Resynthesis:
    """Settings of the stage.

    Attributes:
        likely: share of the first candidate's probability, below which a candidate's bias is not
            corrected and its order not tested. Not tuned.
    """

    likely: float = 0.02


SETTINGS = Resynthesis()


def last_window(audio: np.ndarray, samples: int) -> torch.Tensor:
    """The last ``samples`` of a signal, and silence: (WINDOW,)."""
    return torch.from_numpy(np.pad(audio[audio.size - samples :], (0, spectra.WINDOW - samples)))


def render_candidates(
    chains: list, source: np.ndarray, samples: int, limit: float | None, prefix: Sequence = ()
) -> list[torch.Tensor]:
    """The last ``samples`` of what each chain makes of the source, and silence: (WINDOW,) each.

    Args:
        chains: told for the beginning of those samples; what the source has more is its lead.
        limit: the recording's band limit in Hz, which the renders get too; None without.
        prefix: steps with which many of the chains begin; these are rendered once.
    """
    lead_s = (source.size - samples) / SAMPLE_RATE
    chains = [chain.at_time(-lead_s) for chain in chains]
    prefix = Chain(prefix).at_time(-lead_s).steps
    stages = [source]
    for step in prefix:
        stages.append(Chain([step]).render(stages[-1], SAMPLE_RATE))

    def render(chain) -> torch.Tensor:
        pairs = zip(prefix, chain.steps, strict=False)
        shared = len(list(takewhile(lambda both: both[0] == both[1], pairs)))
        audio = Chain(chain.steps[shared:]).render(stages[shared], SAMPLE_RATE)
        return last_window(audio if limit is None else bandwidth.low_pass(audio, limit), samples)

    return thread_map(render, chains)


def band_limit_of(posteriors: list, recording: np.ndarray, source: np.ndarray) -> float | None:
    """The recording's band limit in Hz, found by comparison with the render of the most probable
    candidate; None if it has none. Arguments as of ``residuals.residual_features``."""
    render = render_candidates(median_chains(posteriors[:1]), source, recording.size, None)[0]
    return bandwidth.find(recording, render[: recording.size].numpy())


def likely_count(posteriors: list) -> int:
    """How many of K posteriors, the most probable first, are at least ``likely``."""
    least = posteriors[0].log_prob + math.log(SETTINGS.likely)
    return sum(posterior.log_prob >= least for posterior in posteriors)


class PosteriorBatch:
    """The knobs of K posteriors of one network, effect by effect, as one batch each.

    Knobs are numbers in normal space, angles in turns.

    Attributes:
        rows: {effect: which of the posteriors have it}, n of them.
        mixtures: {effect: Mixture of batch n}.
        medians: {effect: (n, knobs)}.
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
        """Knobs in 0…1 -> numbers in normal space, angles in turns."""
        return torch.where(self.circular[name], u, to_normal(u))

    def chains(self, knobs: dict[str, torch.Tensor]) -> list:
        """The chains at ``knobs``, {effect: (n, knobs)} as ``medians``."""
        by_row = [{} for _ in self.posteriors]
        for name, own in knobs.items():
            u = torch.where(self.circular[name], own, from_normal(own))
            for row, values in zip(self.rows[name], u, strict=True):
                by_row[row][name] = values
        return [posterior_chain(*both) for both in zip(self.posteriors, by_row, strict=True)]

    def medians_less(self, name: str, u: torch.Tensor) -> torch.Tensor:
        """The medians of an effect less knobs u (n, knobs) in 0…1; angles the shorter way round."""
        off = self.medians[name] - self._free(name, u)
        return torch.where(self.circular[name], short_way(off), off)

    def with_medians(self, knobs: dict[str, torch.Tensor], spread: float) -> list:
        """The posteriors with their mixtures' medians moved to ``knobs`` and their standard
        deviations times ``spread``."""
        mixtures = [{} for _ in self.posteriors]
        for name, own in knobs.items():
            moved = self.mixtures[name].moved(self.medians[name], own, spread).parts()
            for row, mixture in zip(self.rows[name], moved, strict=True):
                mixtures[row][name] = mixture
        both = zip(self.posteriors, mixtures, strict=True)
        return [dataclasses.replace(posterior, mixtures=own) for posterior, own in both]


def median_chains(posteriors: list) -> list:
    """The chains of posteriors at their median knobs."""
    batch = PosteriorBatch(posteriors)
    return batch.chains(batch.medians)
