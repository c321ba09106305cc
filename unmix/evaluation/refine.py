"""Figures of refine on held-out chains, and what they share with those of the network.

Each is fixed by seed and count. Chains come from a random stream that training never draws from
(dataset.ChainSampler, independent). For the network see evaluate_chains.py, for the proxies
evaluate_proxies.py.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from unmix import effects
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
from unmix.evaluation.held_out import Items, audible_knobs, hear, held_out, knob_errors, last, mean
from unmix.inference.intervals import covered
from unmix.inference.rerank import rerank
from unmix.recording.judge import Judge
from unmix.runtime.workers import process_map
from unmix.search.laplace import laplace_unit_intervals

RIVAL_CHAINS = 5


def _sureness(judge: Judge, answer, true: Chain) -> tuple[list[bool], list[bool]]:
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
    steps: int
    seconds: float | None
    beams: int
    rivals: bool

    def item(self, i: int) -> dict:
        """Network, search and figures of one held-out chain."""
        from unmix.search.refine import refine as search
        from unmix.search.starts import initial_points

        dry, true, recording = self.sampler.example(i)
        start = time.perf_counter()
        features = hear(dry, recording)
        posteriors = self.model.infer(features, self.beams)[0]
        if self.reranker is not None:
            posteriors = rerank(self.model, self.reranker, posteriors, features, recording, dry)
        generator = torch.Generator().manual_seed(self.sampler.config["seed"])
        starts = initial_points(posteriors, generator=generator)
        found = search(recording, dry, starts, self.proxies, self.steps, seconds=self.seconds)
        seconds = time.perf_counter() - start
        audible = audible_knobs(dry, true)
        right = canonical_order(true.names)
        inside, unsure = _sureness(Judge(recording, dry), found.candidates[0].origin, true)
        return {
            "length": len(right),
            "seconds": seconds,
            "renders": found.renders,
            "before": found.before,
            "after": found.after,
            "si_sdr": losses.si_sdr_db(found.chain.render(dry, SAMPLE_RATE), recording),
            "timeline": found.timeline,
            "rivals": self.compete(dry, true, recording, starts, seconds) if self.rivals else {},
            "right_before": canonical_order(starts[0].chain.names) == right,
            "right_after": canonical_order(found.chain.names) == right,
            "audible_before": last(knob_errors(starts[0].chain, true, audible)["audible"]),
            "audible": last(knob_errors(found.chain, true, audible)["audible"]),
            "covered": inside,
            "unsure": unsure,
        }

    def compete(self, dry, true, recording, starts, seconds: float) -> dict:
        """What others make of the same recording in the same time, on as many cores."""
        from unmix.evaluation import rivals
        from unmix.search.schedule import grouped_by_order

        chains = [
            group[0].chain for group in grouped_by_order(starts)[:RIVAL_CHAINS]
        ]  # predictions
        gift = Chain(
            (n, effects.get(n).from_unit([0.5] * len(effects.get(n).knobs), options))
            for n, settings in true.steps
            for _, options in [effects.get(n).to_unit(settings)]
        )
        judge = Judge(recording, dry)
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


def refine(
    count: int = 100,
    seed: int = 1,
    steps: int = 200,
    source: str = "probe",
    beams: int = 10,
    model=None,
    load=None,
    workers: int = 1,
    rivals: bool = False,
    length: int | None = None,
    items: Items | None = None,
    seconds: float | None = None,
    reranker=None,
) -> dict:
    """What refine makes of the network's first answers, by the real render.

    Args:
        count, seed: which held-out chains (lengths 1–5 in equal parts).
        steps: of refine. beams: believed chains that the search starts from.
        model, load: an InverseModel and name -> proxy; the bundled ones if None.
        workers: processes of one thread each, if more than 1.
        length: one length of chain only.
        rivals: also give the time that each search took to other methods (rivals.py).
        items: of an evaluation that was broken off; those that are missing join them.
        seconds: of each search at most, beside ``steps``.
        reranker: for the second hearing; None goes without.

    Returns:
        {"count", "worse", "better" (shares), "mss_before", "mss_after" (medians), "si_sdr_db"
        (median after), "equivalence_before", "equivalence_after", "audible_knob_error",
        "seconds" and "renders" (means an item), "coverage" (share of knobs in the answer's 90 %
        intervals), "undetermined" (share of the knobs called so that are so), "by_length"},
        and "rivals" {name: {"wins": share of items in which refine ended nearer, "mss_after",
        "equivalence", "renders", "wins_by_length"}}, "timelines" {name: of each item}
    """
    from unmix.weights import load_inverse, load_proxy

    if count < 1 or steps < 1:
        raise UnmixError("count and steps must be 1 or more")
    stand_ins = {name: (load or load_proxy)(name) for name in effects.names()}
    model = model or load_inverse()
    searches = _Searches(
        held_out(seed, source, length=length),
        model,
        reranker,
        stand_ins,
        steps,
        seconds,
        beams,
        rivals,
    )
    items = items or Items()
    rows = process_map(searches, count, workers, "refine", items.rows, items.keep)
    lengths = range(1, MAX_LENGTH + 1)
    return {
        "count": count,
        "seed": seed,
        "steps": steps,
        "seconds_at_most": seconds,
        "all": _refine_summary(rows),
        "by_length": {
            n: _refine_summary(part)
            for n in lengths
            if (part := [r for r in rows if r["length"] == n])
        },
        "rivals": _rivals(rows),
        "timelines": {
            "unmix": [row["timeline"] for row in rows],
            **{
                name: [row["rivals"][name]["timeline"] for row in rows]
                for name in rows[0]["rivals"]
            },
        },
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
