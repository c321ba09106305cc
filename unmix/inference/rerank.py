"""The second hearing: candidates rendered, and ranked by how they differ from the recording.

To name a chain at first hearing, a network must know how every order of every effect sounds at any
knobs. Here each of its candidates is rendered by the real effects, with the knobs that it expects,
and heard by it as well: what it mishears of its renders is taken out of the knobs (``settle``).
Still no render is right, but where it differs from the recording, and in what, says which order
was. No error is descended; where the source is hidden, there is no second hearing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import takewhile

import numpy as np
import torch
from torch.nn import functional as F

from unmix import effects
from unmix.chain import Chain
from unmix.features import bandwidth, extract
from unmix.features.extract import Spectra
from unmix.inference.order_test import toward
from unmix.networks.branches import KnobReader
from unmix.networks.model import padded
from unmix.nn.mixture_density import Mixture, from_normal, short_way, to_normal
from unmix.runtime.workers import together
from unmix.search.starts import believed_chain

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
COMPARED = "score", "score_link", "transfer", "stats"
QUIET_DB = -60.0  # below the recording's level: not in the means over time and bands
CELLS = -(-extract.SCORE_FRAMES // CELL) * (extract.BANDS // CELL)
STATS_FRAMES = 32  # frames of the statistics that one number stands for
STATS_CELLS = extract.FRAMES // STATS_FRAMES
ERRORS = (
    len(ON_SCORE) * (CELLS + 1)
    + extract.TRANSFER * (extract.BANDS // CELL)
    + extract.FRAME_STATS * STATS_CELLS
    + 1
)
STEPS = (1.0, 0.7, 0.5)  # shares of what was misheard that knobs are moved by, in turn
SPREAD = 0.85  # of a belief about knobs that is left once they are settled
NUDGE, NUDGE_TURNS = 0.1, 0.01  # of a knob in normal space, of an angle
BASES = 2  # the most probable beliefs, from which others are looked at
MOST_DB = 3.0  # that levels differ there
VIEWS = 2  # levels and link
LIKELY = 0.02  # of the first one's probability: below, knobs stay as they are


def orders(beliefs: list) -> torch.Tensor:
    """(K, MAX_LENGTH) effect numbers of inverse.model.Beliefs, −1 behind the end."""
    return padded([belief.order for belief in beliefs])


def _window(audio: np.ndarray, samples: int) -> torch.Tensor:
    """The last ``samples`` of a signal, and silence: (WINDOW,)."""
    return torch.from_numpy(np.pad(audio[audio.size - samples :], (0, extract.WINDOW - samples)))


def _renders(
    chains: list, source: np.ndarray, samples: int, limit: float | None, begun: Sequence = ()
) -> list[torch.Tensor]:
    """The last ``samples`` of what each chain makes of the source, and silence: (WINDOW,).

    ``begun``: steps with which many of the chains begin; these are rendered once.
    """
    stages = [source]
    for step in begun:
        stages.append(Chain([step]).render(stages[-1], extract.SAMPLE_RATE))

    def render(chain) -> torch.Tensor:
        pairs = zip(begun, chain.steps, strict=False)
        shared = len(list(takewhile(lambda both: both[0] == both[1], pairs)))
        audio = Chain(chain.steps[shared:]).render(stages[shared], extract.SAMPLE_RATE)
        return _window(audio if limit is None else bandwidth.low_pass(audio, limit), samples)

    return together(render, chains)


def limit_of(beliefs: list, recording: np.ndarray, source: np.ndarray) -> float | None:
    """The recording's band limit in Hz, by the render of the most probable belief; None without.

    Args:
        beliefs, recording, source: as of ``settle``.
    """
    render = _renders(_chains(beliefs[:1]), source, recording.size, None)[0]
    return bandwidth.find(recording, render[: recording.size].numpy())


def _likely(beliefs: list) -> int:
    """How many of K beliefs, the most probable first, are LIKELY."""
    least = beliefs[0].log_prob + math.log(LIKELY)
    return sum(belief.log_prob >= least for belief in beliefs)


class _Believed:
    """What K beliefs say of the knobs, effect by effect, as one batch each.

    Attributes:
        rows: {effect: which of the beliefs have it}, n of them.
        mixtures: {effect: Mixture of batch n}.
        medians: {effect: (n, knobs)}: numbers in normal space, angles in turns.
    """

    def __init__(self, beliefs: list):
        self.beliefs = beliefs
        rows = {
            name: [row for row, belief in enumerate(beliefs) if name in belief.mixtures]
            for name in effects.names()
        }
        self.rows = {name: found for name, found in rows.items() if found}
        self.mixtures = {
            name: Mixture.joined([beliefs[row].mixtures[name] for row in found])
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
        knobs = [{} for _ in self.beliefs]
        for name, place in places.items():
            u = torch.where(self.circular[name], place, from_normal(place))
            for row, values in zip(self.rows[name], u, strict=True):
                knobs[row][name] = values
        return [believed_chain(*both) for both in zip(self.beliefs, knobs, strict=True)]

    def above(self, name: str, u: torch.Tensor) -> torch.Tensor:
        """How far the medians of an effect lie above u (n, knobs) in 0…1."""
        off = self.medians[name] - self._free(name, u)
        return torch.where(self.circular[name], short_way(off), off)

    def moved(self, places: dict[str, torch.Tensor]) -> list:
        """The beliefs, surer by SPREAD, with the medians of their mixtures at ``places``."""
        mixtures = [{} for _ in self.beliefs]
        for name, place in places.items():
            moved = self.mixtures[name].moved(self.medians[name], place, SPREAD).parts()
            for row, mixture in zip(self.rows[name], moved, strict=True):
                mixtures[row][name] = mixture
        both = zip(self.beliefs, mixtures, strict=True)
        return [dataclasses.replace(belief, mixtures=own) for belief, own in both]


def _chains(beliefs: list) -> list:
    """The chains of beliefs with their median knobs."""
    believed = _Believed(beliefs)
    return believed.chains(believed.medians)


def settle(
    model,
    beliefs: list,
    heard: dict,
    recording: np.ndarray,
    source: np.ndarray,
    limit: float | None = None,
) -> list:
    """Beliefs with their knobs moved to where the network hears the renders as the recording.

    What it mishears at one setting, it mishears much alike at another nearby. So when it takes a
    render for other knobs than were rendered, its answer about the recording was as far off. That
    is taken out in STEPS. A belief less than LIKELY times as probable as the first stays.

    Args:
        model: an inverse.model.InverseModel on the CPU.
        beliefs, heard, recording, source, limit: as of ``errors``; the most probable first.
    """
    count, dry = _likely(beliefs), _window(source, recording.size)[None]
    believed = _Believed(beliefs[:count])
    places = dict(believed.medians)
    for step in STEPS:
        renders = _renders(believed.chains(places), source, recording.size, limit)
        again = extract.extract(torch.stack(renders), dry, KnobReader.READS)
        again["level_known"] = heard["level_known"].expand(count)
        for name, medians in model.hear_knobs(again, believed.beliefs).items():
            places[name] = places[name] + step * believed.above(name, medians)
    return believed.moved(places) + beliefs[count:]


def errors(
    beliefs: list,
    heard: dict,
    recording: np.ndarray,
    source: np.ndarray,
    limit: float | None = None,
) -> torch.Tensor:
    """How the renders of K beliefs differ from a recording: (K, ERRORS) logarithms.

    Args:
        beliefs: inverse.model.Belief. heard: features of the recording (batch 1) that they are
            about, with ``level_known``.
        recording: float32 (samples,), at most WINDOW.
        source: float32, aligned with the recording's end; what it has more is its lead: heard by
            the effects, and not compared.
        limit: the recording's band limit in Hz, which the renders are given too.

    Returns:
        Mean errors, each in the logarithm: ON_SCORE in cells of CELL by CELL and in the whole
        (levels; complex coherence of recording and render; the score's link of each with the
        source), of the transfer function in runs of CELL bands, of the frame statistics in runs of
        STATS_FRAMES; and of the level.
    """
    renders = _renders(_chains(beliefs), source, recording.size, limit)
    wet = Spectra(_window(recording, recording.size))
    match = together(lambda audio: extract.score_link(wet, Spectra(audio)), renders)
    dry = _window(source, recording.size)[None]
    again = extract.extract(torch.stack(renders), dry, COMPARED)
    off = {name: again[name] - heard[name] for name in (*COMPARED, "level")}
    loud, level_known = heard["score"] > QUIET_DB, heard["level_known"]
    found = [
        *_on_score(off["score"], torch.from_numpy(np.stack(match)), off["score_link"], loud),
        (F.avg_pool1d(off["transfer"].abs(), CELL) + 1e-3).log().flatten(1),
        (F.avg_pool1d(off["stats"].abs(), STATS_FRAMES) + 1e-2).log().flatten(1),
        ((off["level"] * level_known).abs() + 1e-2).log()[:, None],
    ]
    return torch.cat(found, 1)


def _nudged(believed: _Believed) -> list:
    """The chain of a lone belief with each of its knobs moved a little, to its middle."""
    chains = []
    for name, medians in believed.medians.items():
        nudge = torch.where(medians > 0, -NUDGE, NUDGE)
        nudge = torch.where(believed.circular[name], NUDGE_TURNS, nudge)
        for one in torch.eye(medians.shape[1]):
            chains += believed.chains(believed.medians | {name: medians + one * nudge})
    return chains


def leanings(
    beliefs: list,
    heard: dict,
    recording: np.ndarray,
    source: np.ndarray,
    limit: float | None = None,
) -> torch.Tensor:
    """How the recording leans to K beliefs: (K, BASES, VIEWS), by ``unmix.leanings``.

    From each of the BASES first beliefs, at its knobs, to those with the same effects in other
    orders, by the levels on the score and by its link with the source; 0 for all others, and for
    and from those that are not LIKELY. Arguments as of ``errors``.
    """
    found = torch.zeros(len(beliefs), BASES, VIEWS)
    likely = beliefs[: _likely(beliefs)]
    wet, dry = (Spectra(_window(audio, recording.size)) for audio in (recording, source))
    loud = heard["score"][0].numpy() > QUIET_DB

    def views(y: Spectra) -> tuple[np.ndarray, np.ndarray]:
        return extract.score(y)[loud], extract.score_link(y, dry)[:, loud].ravel()

    for place, base in enumerate(likely[:BASES]):
        others = [
            row
            for row, belief in enumerate(likely)
            if belief is not base and set(belief.order) == set(base.order)
        ]
        if not others:
            continue
        believed = _Believed([base])
        (chain,) = believed.chains(believed.medians)
        settings = dict(chain.steps)
        chains = [Chain([(name, settings[name]) for name in beliefs[row].names]) for row in others]
        chains = [chain, *chains, *_nudged(believed)]
        renders = _renders(chains, source, recording.size, limit, chain.steps)
        seen = zip(*together(views, [wet, *map(Spectra, renders)]), strict=True)
        levels, links = (np.stack(view).astype(np.float64) for view in seen)
        levels = np.clip(levels - levels[1], -MOST_DB, MOST_DB)
        levels = np.vstack([levels, np.ones_like(levels[:1])])  # a gain is like a knob
        for view, off in enumerate((levels, links - links[1])):
            reordered, nudged = np.split(off[2:], [len(others)])
            lean = toward(off[0], reordered, nudged)
            found[others, place, view] = torch.from_numpy(lean).float()
    return found


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


def compare(
    model, beliefs: list, heard: dict, recording: np.ndarray, source: np.ndarray
) -> tuple[list, torch.Tensor, torch.Tensor]:
    """The beliefs with their knobs settled, the errors of their renders (K, ERRORS) and the
    recording's leanings (K, BASES, VIEWS), all with its band limit. Arguments as of ``settle``."""
    limit = limit_of(beliefs, recording, source)
    beliefs = settle(model, beliefs, heard, recording, source, limit)
    found = errors(beliefs, heard, recording, source, limit)
    return beliefs, found, leanings(beliefs, heard, recording, source, limit)


@torch.no_grad()
def hear_again(model, reranker, beliefs: list, heard: dict, recording, source) -> list:
    """Beliefs about a recording, with their knobs settled, ranked anew.

    Args:
        model: the inverse.model.InverseModel that believed, on the CPU.
        reranker: an inverse.reranker.Reranker on the CPU.
        beliefs, heard, recording, source: as of ``settle``.

    Returns:
        The beliefs, most probable first, each with its new ``log_prob``. All together are as
        probable as before.
    """
    beliefs, off, lean = compare(model, beliefs, heard, recording, source)
    log_prob = torch.tensor([belief.log_prob for belief in beliefs])
    ranked = reranker(off[None], lean[None], orders(beliefs)[None], log_prob[None])[0]
    ranked = (ranked + log_prob.logsumexp(0)).tolist()
    again = [
        dataclasses.replace(belief, log_prob=p) for belief, p in zip(beliefs, ranked, strict=True)
    ]
    return sorted(again, key=lambda belief: -belief.log_prob)
