"""Metrics of first answers on held-out chains: the network alone, re-ranked, and two baselines.

Each recording goes the way of ``unmix.analyze``: ``prepare`` (gain, alignment, window), then
``predict`` (features, posterior, re-ranking). A recording that ``prepare`` refuses counts as
answered wrongly, by the empty chain.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unmix import effects
from unmix.chain import Chain
from unmix.data.chains import ChainSampler
from unmix.effects import EffectSet
from unmix.errors import UnmixError
from unmix.evaluation import sequence_metrics
from unmix.evaluation.baselines import baselines
from unmix.evaluation.held_out import Question, ask, held_out, last, mean
from unmix.evaluation.scoring import SHARES, coarse, coverage, score
from unmix.inference.predict import Prediction, predict
from unmix.runtime.workers import process_map

MIXED = "mixed"  # degraded as training recordings are
NOTHING = "–"  # in the confusion table: no effect where one was, or the other way round


@dataclass(frozen=True)
class ChainsEvaluation:
    """Which held-out chains are asked, and how.

    Attributes:
        count, seed: which chains; lengths 1–5 in equal parts.
        source: what was sent through them. hidden_source: whether the network is not told.
        degrade: a kind of degradation.KINDS for every recording, or MIXED; with "gain" the level
            counts as unknown, as with ``analyze --gain auto``.
        length: one length only.
        folder: audio folder for half of the sources when ``source`` is "synthetic".
        beams: candidate chains of the beam search.
        workers: processes of one thread each, if more than 1.
        training: folder of a chains data set, from which the baselines take their answers.
    """

    count: int = 250
    seed: int = 1
    source: str = "probe"
    hidden_source: bool = False
    degrade: str | None = None
    length: int | None = None
    folder: Path | None = None
    beams: int = 10
    workers: int = 1
    training: Path | None = None

    def sampler(self, effects: EffectSet) -> ChainSampler:
        """The held-out chains, of these effects.

        Raises:
            UnmixError: an unknown source or degradation, or no chain at all.
        """
        if self.count < 1:
            raise UnmixError("count must be 1 or more")
        share = float(self.degrade is not None)
        kind = None if self.degrade == MIXED else self.degrade
        options = {"degradation": kind, "length": self.length, "folder": self.folder}
        return held_out(self.seed, self.source, share, **options, effects=effects)


def answer(model, question: Question, beams: int = 10, seed: int = 0) -> dict:
    """How right a network's own first answer is; ``by_length`` makes metrics of many."""
    prediction = predict(question.prepare(), model, beams)
    return _rate(question, prediction.posteriors, seed)


def _rate(question: Question, posteriors: list, seed: int) -> dict:
    """Scores of a first answer; no posteriors: there was none."""
    from unmix.search.starts import prediction

    first = prediction(posteriors[0]).chain if posteriors else Chain()
    ranked = [posterior.names for posterior in posteriors]
    generator = torch.Generator().manual_seed(seed)
    return {
        **score(first, ranked, question.true, question.audible, question.tie),
        "mss": question.judge.distance(first),
        "coverage": coverage(posteriors[0] if posteriors else None, question.true, generator),
        "refused": not posteriors,
    }


@dataclass(frozen=True)
class _Naming:
    """What every item of ``chains`` shares; worker processes get one copy each."""

    sampler: ChainSampler
    model: torch.nn.Module
    reranker: torch.nn.Module | None
    hidden_source: bool
    beams: int
    baselines: bool

    def item(self, i: int) -> dict:
        """Scores of the answer to one question; "alone", of the network's own where it was
        re-ranked; "asked", what the baselines need for their answers."""
        question, seed = ask(self.sampler, i, self.hidden_source), self.sampler.config["seed"]
        found = self._predict(question)
        posteriors, own = (found.posteriors, found.network) if found else ([], [])
        reranked = self.reranker is not None and not self.hidden_source
        return {
            **_rate(question, posteriors, seed),
            "alone": _rate(question, own, seed) if reranked else None,
            "asked": self._asked(question, found) if self.baselines else None,
        }

    def _predict(self, question: Question) -> Prediction | None:
        try:
            return predict(question.prepare(), self.model, self.beams, self.reranker)
        except UnmixError:
            return None

    def _asked(self, question: Question, found: Prediction | None) -> dict:
        if found is None:
            raise UnmixError("the baselines need recordings that can be analysed")
        return {
            "chain": question.true,
            "audible": question.audible,
            "tie": question.tie,
            "coarse": coarse(found.features)[0].numpy(),
        }


def chains(evaluation: ChainsEvaluation, model=None, reranker=None) -> dict:
    """First answers on held-out chains: beam search, no refinement.

    Args:
        model: an InverseModel; the bundled one if None.
        reranker: re-ranks the answers where the source is known; None goes without.

    Returns:
        {"count", "all": metrics, "by_length": {n: metrics}, "effects", "confusion", "knobs"};
        "alone" {"all", "by_length"}, the network without re-ranking, where there is one; and
        "baselines" {name: {"all", "by_length"}} where there is a training set. Metrics: by
        equivalence, raw with its ceiling (a right class gives a right order by chance 1 in as many
        as it has orders), as a set, top5, edit distance, knob error (all and audible knobs of the
        effects named rightly), share of switches right, median real distance of the first answer
        (MSS), coverage {share: …} of their knobs by intervals of 50, 80 and 90 % of the posterior,
        and the share of recordings that were refused.
    """
    from unmix.weights import load_inverse

    e, model = evaluation, model or load_inverse()
    sampler = e.sampler(model.effects)
    training = e.training is not None
    naming = _Naming(sampler, model, reranker, e.hidden_source, e.beams, training)
    rows = process_map(naming, e.count, e.workers, "chains")
    asked, alone = ([row.pop(key) for row in rows] for key in ("asked", "alone"))
    metrics = {
        "count": e.count,
        "seed": e.seed,
        "source": "hidden" if e.hidden_source else e.source,
        "degraded": e.degrade,
        **by_length(rows),
        "effects": _detection(rows, sampler.effects.names),
        "confusion": _confusion(rows, sampler.effects.names),
        "knobs": _by_knob(rows, sampler.effects.names),
    }
    if alone[0] is not None:
        metrics["alone"] = by_length(alone)
    if training:
        answers = baselines(e.training, asked)
        metrics["baselines"] = {name: by_length(found) for name, found in answers.items()}
    return metrics


def by_length(rows: list[dict]) -> dict:
    """Figures of many answers, as ``chains`` gives them: {"all", "by_length": {n: …}}."""
    lengths = sorted({row["length"] for row in rows})
    return {
        "all": _summary(rows),
        "by_length": {n: _summary([r for r in rows if r["length"] == n]) for n in lengths},
    }


def _summary(rows: list[dict]) -> dict:
    flat = {
        key: last(entry for row in rows for entry in row[key])
        for key in ("knobs", "audible", "switches")
    }
    metrics = {
        "count": len(rows),
        **{key: mean([row[key] for row in rows]) for key in ("equivalence", "raw", "ceiling")},
        **{key: mean([row[key] for row in rows]) for key in ("set", "top5", "edit")},
        "knob_error": mean(flat["knobs"]),
        "audible_knob_error": mean(flat["audible"]),
        "switches": mean(flat["switches"]),
    }
    if "coverage" in rows[0]:
        metrics["mss"] = float(np.median([row["mss"] for row in rows]))
        metrics["coverage"] = {
            share: mean([hit for row in rows for hit in row["coverage"][share]]) for share in SHARES
        }
        metrics["refused"] = mean([row["refused"] for row in rows])
    return metrics


def _detection(rows: list[dict], names) -> dict:
    """{effect: how often it was there, found where it was, and named where it was not}."""
    table = {}
    for name in names:
        there = [name in row["true"] for row in rows]
        named = [name in row["named"] for row in rows]
        table[name] = {
            "there": sum(there),
            "found": sum(t and n for t, n in zip(there, named, strict=True)),
            "false": sum(n and not t for t, n in zip(there, named, strict=True)),
        }
    return table


def _confusion(rows: list[dict], names) -> dict[str, dict[str, int]]:
    """{true effect: {named in its place: how often}}, places aligned as by
    ``sequence_metrics.alignment``; NOTHING stands for an effect that was left out or added."""
    labels = (*names, NOTHING)
    pairs = Counter(
        (x or NOTHING, y or NOTHING)
        for row in rows
        for x, y in sequence_metrics.alignment(row["true"], row["named"])
    )
    return {x: {y: pairs[x, y] for y in labels} for x in labels}


def _by_knob(rows: list[dict], names) -> dict[str, dict[str, dict]]:
    """{effect: {knob: {"audible": in how many items it is, "error": mean over those}}}."""
    errors: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        for name, knob, error in row["audible"]:
            errors.setdefault((name, knob), []).append(error)
    return {
        name: {
            knob.name: {"audible": len(found), "error": mean(found)}
            for knob in effects.get(name).knobs
            if (found := errors.get((name, knob.name)))
        }
        for name in names
    }
