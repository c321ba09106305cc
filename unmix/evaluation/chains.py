"""Figures of first answers on held-out chains: the network alone, its second hearing, and two
baselines that know its data set."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

from unmix import effects
from unmix.chain import Chain
from unmix.data.chains import ChainSampler
from unmix.errors import UnmixError
from unmix.evaluation import sequence_metrics
from unmix.evaluation.baselines import _baselines
from unmix.evaluation.held_out import audible_knobs, hear, held_out, last, mean
from unmix.evaluation.scoring import SHARES, _coverage, _score, coarse
from unmix.inference.rerank import rerank
from unmix.recording.judge import Judge
from unmix.runtime.workers import process_map

MIXED = "mixed"  # degraded as training recordings are


NOTHING = "–"  # in the confusion table: no effect where one was, or the other way round


@dataclass(frozen=True)
class Question:
    """A held-out recording, and what is right about it.

    Attributes:
        dry, recording: float32 (samples,). match_gain: the recording's level says nothing.
        heard: features, as the network is asked.
        true: the chain. audible: by ``audible_knobs``.
        tie: picks the order in which ``true`` counts as made, of those that sound the same.
    """

    dry: np.ndarray
    recording: np.ndarray
    match_gain: bool
    features: dict
    true: Chain
    audible: dict
    tie: int


def ask(sampler: ChainSampler, i: int, hidden_source: bool = False) -> Question:
    """Item i of a held-out sampler as a question to a network."""
    config = sampler.config
    dry, true, recording = sampler.example(i)
    match_gain = config["degradation"] == "gain"
    return Question(
        dry,
        recording,
        match_gain,
        hear(dry, recording, hidden_source, not match_gain),
        true,
        audible_knobs(dry, true),
        int(np.random.default_rng([config["seed"], i]).integers(10**6)),
    )


def answer(model, question: Question, beams: int = 10, seed: int = 0) -> dict:
    """How right a network's first answer is; ``by_length`` makes figures of many."""
    return _rate(question, model.infer(question.features, beams)[0], seed)


def _rate(question: Question, posteriors: list, seed: int) -> dict:
    from unmix.search.starts import prediction

    first, ranked = prediction(posteriors[0]).chain, [posterior.names for posterior in posteriors]
    judge = Judge(question.recording, question.dry, question.match_gain)
    return {
        **_score(first, ranked, question.true, question.audible, question.tie),
        "mss": judge.distance(first),
        "coverage": _coverage(posteriors[0], question.true, torch.Generator().manual_seed(seed)),
    }


@dataclass(frozen=True)
class _Naming:
    """What every item of ``chains`` shares."""

    sampler: ChainSampler
    model: torch.nn.Module
    reranker: torch.nn.Module | None
    hidden_source: bool
    beams: int

    def item(self, i: int) -> dict:
        """How right the answer to one question is, with that of the network alone where there is a
        second hearing, and what the baselines need for theirs."""
        question = ask(self.sampler, i, self.hidden_source)
        asked = {
            "chain": question.true,
            "audible": question.audible,
            "tie": question.tie,
            "coarse": coarse(question.features)[0].numpy(),
        }
        seed = self.sampler.config["seed"]
        posteriors = self.model.infer(question.features, self.beams)[0]
        first = _rate(question, posteriors, seed)
        if self.reranker is None or self.hidden_source:
            return {**first, "alone": None, "asked": asked}
        sounds = question.recording, question.dry
        posteriors = rerank(self.model, self.reranker, posteriors, question.features, *sounds)
        return {**_rate(question, posteriors, seed), "alone": first, "asked": asked}


def chains(
    count: int = 250,
    seed: int = 1,
    source: str = "probe",
    hidden_source: bool = False,
    degrade: str | None = None,
    length: int | None = None,
    folder=None,
    beams: int = 10,
    model=None,
    workers: int = 1,
    training=None,
    reranker=None,
) -> dict:
    """First answers on held-out chains, lengths 1–5 in equal parts: beam search, no refine.

    Args:
        count, seed: which chains.
        source: what was sent through them; hidden_source: whether the network is not told.
        degrade: a kind of degradation.KINDS for every recording, or MIXED; with "gain" the network
            is not told the level, as with ``analyze --gain auto``.
        length: one length only.
        folder: audio folder for half of the sources when ``source`` is "synthetic".
        model: an InverseModel; the bundled one if None.
        workers: processes of one thread each, if more than 1.
        training: folder of a chains data set, from which the baselines take their answers.
        reranker: for the second hearing; None goes without.

    Returns:
        {"count", "all": figures, "by_length": {n: figures}, "effects", "confusion", "knobs"};
        "alone" {"all", "by_length"}, the network without its second hearing, where there is one;
        and "baselines" {name: {"all", "by_length"}} where there is a training set. Figures: by
        equivalence, raw with its ceiling (a right class gives a right order by chance 1 in as many
        as it has orders), as a set, top5, edit distance, knob error (all and audible knobs of the
        effects named rightly), share of switches right, median real distance of the first answer
        (MSS), coverage {share: …} of their knobs by intervals of 50, 80 and 90 % of the belief.
    """
    from unmix.weights import load_inverse

    if count < 1:
        raise UnmixError("count must be 1 or more")
    share, kind = float(degrade is not None), None if degrade == MIXED else degrade
    sampler = held_out(seed, source, share, degradation=kind, length=length, folder=folder)
    naming = _Naming(sampler, model or load_inverse(), reranker, hidden_source, beams)
    rows = process_map(naming, count, workers, "chains")
    asked, alone = ([row.pop(key) for row in rows] for key in ("asked", "alone"))
    figures = {
        "count": count,
        "seed": seed,
        "source": "hidden" if hidden_source else source,
        "degraded": degrade,
        **by_length(rows),
        "effects": _detection(rows),
        "confusion": _confusion(rows),
        "knobs": _by_knob(rows),
    }
    if alone[0] is not None:
        figures["alone"] = by_length(alone)
    if training is not None:
        answers = _baselines(training, asked)
        figures["baselines"] = {name: by_length(found) for name, found in answers.items()}
    return figures


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
    figures = {
        "count": len(rows),
        **{key: mean([row[key] for row in rows]) for key in ("equivalence", "raw", "ceiling")},
        **{key: mean([row[key] for row in rows]) for key in ("set", "top5", "edit")},
        "knob_error": mean(flat["knobs"]),
        "audible_knob_error": mean(flat["audible"]),
        "switches": mean(flat["switches"]),
    }
    if "coverage" in rows[0]:
        figures["mss"] = float(np.median([row["mss"] for row in rows]))
        figures["coverage"] = {
            share: mean([hit for row in rows for hit in row["coverage"][share]]) for share in SHARES
        }
    return figures


def _detection(rows: list[dict]) -> dict:
    """{effect: how often it was there, found where it was, and named where it was not}."""
    table = {}
    for name in effects.names():
        there = [name in row["true"] for row in rows]
        named = [name in row["named"] for row in rows]
        table[name] = {
            "there": sum(there),
            "found": sum(t and n for t, n in zip(there, named, strict=True)),
            "false": sum(n and not t for t, n in zip(there, named, strict=True)),
        }
    return table


def _confusion(rows: list[dict]) -> dict[str, dict[str, int]]:
    """{true effect: {named in its place: how often}}, places aligned as by ``metrics.alignment``;
    NOTHING stands for an effect that was left out or added."""
    labels = (*effects.names(), NOTHING)
    pairs = Counter(
        (x or NOTHING, y or NOTHING)
        for row in rows
        for x, y in sequence_metrics.alignment(row["true"], row["named"])
    )
    return {x: {y: pairs[x, y] for y in labels} for x in labels}


def _by_knob(rows: list[dict]) -> dict[str, dict[str, dict]]:
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
        for name in effects.names()
    }
