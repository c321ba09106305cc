"""Metrics of refinement on held-out chains.

Each recording goes the way of ``unmix.analyze``: ``prepare``, ``predict``, ``refine`` with one
judge. Each metric is fixed by seed and count; chains come from a random stream that training never
draws from (data.chains.ChainSampler, independent).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from unmix import effects
from unmix.analysis.analyze import refine_posteriors
from unmix.analysis.sensitivity import (
    UNDETERMINED_ESR_DB,
    UNDETERMINED_MOVE,
    knob_sensitivity,
    undetermined,
)
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import MAX_LENGTH, Chain, canonical_order
from unmix.data.chains import ChainSampler
from unmix.dsp import losses
from unmix.errors import UnmixError
from unmix.evaluation.held_out import Items, Question, ask, held_out, knob_errors, last, mean
from unmix.inference.intervals import covered
from unmix.inference.predict import predict
from unmix.recording.judge import Judge
from unmix.runtime.workers import process_map
from unmix.search.laplace import laplace_unit_intervals
from unmix.search.options import SearchOptions

RIVAL_CHAINS = 5


@dataclass(frozen=True)
class RefineEvaluation:
    """Which held-out chains are refined, and how.

    Attributes:
        count, seed: which chains; lengths 1–5 in equal parts.
        steps: of each refinement; seconds: at most, beside the steps.
        source: what was sent through them.
        beams: candidate chains that each search starts from.
        length: one length only.
        rivals: also give the time that each search took to other methods (rivals.py).
        workers: processes of one thread each, if more than 1.
    """

    count: int = 100
    seed: int = 1
    steps: int = 200
    seconds: float | None = None
    source: str = "probe"
    beams: int = 10
    length: int | None = None
    rivals: bool = False
    workers: int = 1


def _interval_metrics(judge: Judge, answer, true: Chain) -> tuple[list[bool], list[bool]]:
    """For the effects that are in the answer and in the true chain: whether each true knob lies in
    the answer's interval; and of the knobs that the answer calls undetermined, whether they are
    so, by renders about the true chain."""
    sure, unsure = laplace_unit_intervals(judge, answer), undetermined(judge.source, answer.chain)
    changes = knob_sensitivity(judge.source, true, UNDETERMINED_MOVE, UNDETERMINED_ESR_DB)
    inside, so = [], []
    for name, settings in true.steps:
        effect = effects.get(name)
        if name in sure:
            inside += covered(name, sure[name], effect.to_unit(settings)[0])
            pairs = zip(effect.knobs, changes[name] < UNDETERMINED_ESR_DB, strict=True)
            so += [bool(still) for knob, still in pairs if knob.name in unsure[name]]
    return inside, so


@dataclass(frozen=True)
class _Searches:
    """What every item of ``refine`` shares; worker processes get one copy each."""

    sampler: ChainSampler
    model: torch.nn.Module
    reranker: torch.nn.Module | None
    proxies: dict
    evaluation: RefineEvaluation

    def item(self, i: int) -> dict:
        """Network, search and metrics of one held-out chain."""
        question, seed = ask(self.sampler, i), self.evaluation.seed
        options = SearchOptions(self.evaluation.steps, self.evaluation.seconds)
        start = time.perf_counter()
        problem = question.prepare()
        posteriors = predict(problem, self.model, self.evaluation.beams, self.reranker).posteriors
        generator = torch.Generator().manual_seed(seed)
        points, found = refine_posteriors(problem, posteriors, self.proxies, options, generator)
        seconds = time.perf_counter() - start
        true, right = question.true, canonical_order(question.true.names)
        inside, unsure = _interval_metrics(problem.judge, found.candidates[0].origin, true)
        wet = found.chain.render(question.dry, SAMPLE_RATE)
        rivals = self._compete(question, points, seconds) if self.evaluation.rivals else {}
        return {
            "length": len(right),
            "seconds": seconds,
            "renders": found.renders,
            "before": found.before,
            "after": found.after,
            "si_sdr": losses.si_sdr_db(wet, question.recording),
            "timeline": found.timeline,
            "rivals": rivals,
            "right_before": canonical_order(points[0].chain.names) == right,
            "right_after": canonical_order(found.chain.names) == right,
            "audible_before": _audible_errors(points[0].chain, question),
            "audible": _audible_errors(found.chain, question),
            "covered": inside,
            "unsure": unsure,
        }

    def _compete(self, question: Question, points, seconds: float) -> dict:
        """What others make of the same recording in the same time, on as many cores."""
        from unmix.evaluation import rivals
        from unmix.search.schedule import grouped_by_order

        groups = grouped_by_order(points)[:RIVAL_CHAINS]
        chains = [group[0].chain for group in groups]  # predictions
        true, judge = question.true, question.judge
        gift = Chain(
            (n, effects.get(n).from_unit([0.5] * len(effects.get(n).knobs), options))
            for n, settings in true.steps
            for _, options in [effects.get(n).to_unit(settings)]
        )
        attempts = {
            "CMA-ES, the same chains": rivals.cma(judge, chains, seconds),
            "CMA-ES, the true chain": rivals.cma(judge, [gift], seconds),
            "proxies alone": rivals.proxies_only(judge, chains, self.proxies, seconds),
        }
        right = canonical_order(true.names)
        return {
            name: {
                "after": attempt.distance,
                "right": canonical_order(attempt.chain.names) == right,
                "renders": attempt.renders,
                "timeline": attempt.timeline,
            }
            for name, attempt in attempts.items()
        }


def _audible_errors(answer: Chain, question: Question) -> list[float]:
    return last(knob_errors(answer, question.true, question.audible)["audible"])


def refine(
    evaluation: RefineEvaluation,
    model=None,
    load: Callable | None = None,
    reranker=None,
    items: Items | None = None,
) -> dict:
    """What refinement makes of the network's first answers, by the real render.

    Args:
        model, load: an InverseModel and name -> proxy; the bundled ones if None.
        reranker: re-ranks the first answers; None goes without.
        items: of an evaluation that was broken off; those that are missing join them.

    Returns:
        {"count", "worse", "better" (shares), "mss_before", "mss_after" (medians), "si_sdr_db"
        (median after), "equivalence_before", "equivalence_after", "audible_knob_error",
        "seconds" and "renders" (means an item), "coverage" (share of knobs in the answer's 90 %
        intervals), "undetermined" (share of the knobs called so that are so), "by_length"},
        and "rivals" {name: {"wins": share of items in which refine ended nearer, "mss_after",
        "equivalence", "renders", "wins_by_length"}}, "timelines" {name: of each item}

    Raises:
        UnmixError: no chain or no step.
    """
    from unmix.weights import load_inverse, load_proxy, proxied

    if evaluation.count < 1 or evaluation.steps < 1:
        raise UnmixError("count and steps must be 1 or more")
    model = model or load_inverse()
    sampler = held_out(
        evaluation.seed, evaluation.source, length=evaluation.length, effects=model.effects
    )
    proxies = {name: (load or load_proxy)(name) for name in proxied()}
    searches = _Searches(sampler, model, reranker, proxies, evaluation)
    items = items or Items()
    rows = process_map(
        searches, evaluation.count, evaluation.workers, "refine", items.rows, items.keep
    )
    parts = {n: [row for row in rows if row["length"] == n] for n in range(1, MAX_LENGTH + 1)}
    rivals = {name: [row["rivals"][name]["timeline"] for row in rows] for name in rows[0]["rivals"]}
    return {
        "count": evaluation.count,
        "seed": evaluation.seed,
        "steps": evaluation.steps,
        "seconds_at_most": evaluation.seconds,
        "all": _refine_summary(rows),
        "by_length": {n: _refine_summary(part) for n, part in parts.items() if part},
        "rivals": _rivals(rows),
        "timelines": {"unmix": [row["timeline"] for row in rows], **rivals},
        "before": [row["before"] for row in rows],
    }


def _rivals(rows: list[dict]) -> dict:
    result = {}
    for name in rows[0]["rivals"]:
        own = [(row["length"], row["after"], row["rivals"][name]) for row in rows]
        wins = [(length, after < other["after"]) for length, after, other in own]
        lengths = sorted({length for length, _ in wins})
        result[name] = {
            "wins": mean([win for _, win in wins]),
            "wins_by_length": {n: mean([win for m, win in wins if m == n]) for n in lengths},
            "mss_after": float(np.median([other["after"] for *_, other in own])),
            "equivalence": mean([other["right"] for *_, other in own]),
            "renders": mean([other["renders"] for *_, other in own]),
        }
    return result


def _refine_summary(rows: list[dict]) -> dict:
    before, after = (np.array([row[key] for row in rows]) for key in ("before", "after"))
    return {
        "count": len(rows),
        "worse": mean(after > before),
        "better": mean(after < before),
        "mss_before": float(np.median(before)),
        "mss_after": float(np.median(after)),
        "si_sdr_db": float(np.median([row["si_sdr"] for row in rows])),
        "equivalence_before": mean([row["right_before"] for row in rows]),
        "equivalence_after": mean([row["right_after"] for row in rows]),
        "audible_before": mean([e for row in rows for e in row["audible_before"]]),
        "audible_after": mean([e for row in rows for e in row["audible"]]),
        "seconds": mean([row["seconds"] for row in rows]),
        "renders": mean([row["renders"] for row in rows]),
        "coverage": mean([hit for row in rows for hit in row["covered"]]),
        "undetermined": mean([so for row in rows for so in row["unsure"]]),
    }
