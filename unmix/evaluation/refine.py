"""Figures of refine on held-out chains, and what they share with those of the network.

Each is fixed by seed and count. Chains come from a random stream that training never draws from
(dataset.ChainSampler, independent). For the network see evaluate_chains.py, for the proxies
evaluate_proxies.py.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from unmix import effects
from unmix.analysis.sensitivity import UNDETERMINED_ESR_DB, UNDETERMINED_MOVE, moved, undetermined
from unmix.audio.io import SAMPLE_RATE, write_text
from unmix.chain import Chain, canonical_order
from unmix.data.chains import MAX_LENGTH, ChainSampler
from unmix.errors import UnmixError
from unmix.evaluation import sequence_metrics
from unmix.features.extract import extract
from unmix.inference.predict import covered
from unmix.inference.rerank import hear_again
from unmix.recording.judge import Judge
from unmix.runtime.workers import each
from unmix.search.laplace import unit_intervals

RIVAL_CHAINS = 5
AUDIBLE_MOVE, AUDIBLE_ESR_DB = 0.1, -40.0


def audible_knobs(source: np.ndarray, chain: Chain) -> dict:
    """{effect: (K,) bool}: whether moving a knob alone by AUDIBLE_MOVE changes the real render of
    the chain by more than AUDIBLE_ESR_DB."""
    changes = moved(source, chain, AUDIBLE_MOVE)
    return {name: change > AUDIBLE_ESR_DB for name, change in changes.items()}


def knob_errors(answer: Chain, true: Chain, audible: dict) -> dict[str, list]:
    """How far the effects in both chains are off.

    Returns:
        "knobs" (effect, knob, |û − u|), "audible" (the same, audible knobs alone) and "switches"
        (effect, switch, whether it is right): lists with one entry a control.
    """
    found = {"knobs": [], "audible": [], "switches": []}
    answers = dict(answer.steps)
    for name, settings in true.steps:
        if name not in answers:
            continue
        effect = effects.get(name)
        (a, a_switch), (b, b_switch) = effect.to_unit(answers[name]), effect.to_unit(settings)
        errors = zip(effect.knobs, effect.panel.distance(a, b).tolist(), strict=True)
        rows = [(name, knob.name, error) for knob, error in errors]
        found["knobs"] += rows
        found["audible"] += [row for row, heard in zip(rows, audible[name], strict=True) if heard]
        right = zip(effect.switches, (a_switch == b_switch).tolist(), strict=True)
        found["switches"] += [(name, switch.name, hit) for switch, hit in right]
    return found


def last(rows) -> list:
    """The last entry of each row."""
    return [row[-1] for row in rows]


def mean(values) -> float | None:
    """The mean, or None of nothing."""
    return float(np.mean(values)) if len(values) else None


def held_out(seed: int, source: str, degraded: float = 0.0, **options) -> ChainSampler:
    """Chains of their own on one kind of source, from the stream that training never draws from."""
    return ChainSampler(seed, shares={source: 1.0}, degraded=degraded, independent=True, **options)


def hear(
    source: np.ndarray, recording: np.ndarray, hidden: bool = False, level_known: bool = True
) -> dict:
    """Features of one recording for the model; with ``hidden`` it is not told the source."""
    told = None if hidden else torch.from_numpy(source)[None]
    level = {"level_known": torch.full((1,), float(level_known))}
    return extract(torch.from_numpy(recording)[None], told) | level


def _sureness(judge: Judge, answer, true: Chain) -> tuple[list[bool], list[bool]]:
    """For the effects that are in the answer and in the true chain: whether each true knob lies in
    the answer's interval; and of the knobs that the answer calls undetermined, whether they are
    so, by renders about the true chain."""
    sure, unsure = unit_intervals(judge, answer), undetermined(judge.source, answer.chain)
    changes = moved(judge.source, true, UNDETERMINED_MOVE, UNDETERMINED_ESR_DB)
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
        from unmix.search.starts import starts_from_beliefs

        dry, true, recording = self.sampler.example(i)
        start = time.perf_counter()
        heard = hear(dry, recording)
        beliefs = self.model.believe(heard, self.beams)[0]
        if self.reranker is not None:
            beliefs = hear_again(self.model, self.reranker, beliefs, heard, recording, dry)
        generator = torch.Generator().manual_seed(self.sampler.config["seed"])
        starts = starts_from_beliefs(beliefs, generator=generator)
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
            "si_sdr": sequence_metrics.si_sdr_db(found.chain.render(dry, SAMPLE_RATE), recording),
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
        from unmix.search.schedule import by_order

        chains = [group[0].chain for group in by_order(starts)[:RIVAL_CHAINS]]  # predictions
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


@dataclass
class Items:
    """Rows of an evaluation that are on disk already, for one that takes hours.

    Args:
        path: JSON file; nothing is kept with None.
        about: what decides the rows; JSON.
        rows: {i: row} of the items that are done; read from the file where there is one.

    Raises:
        UnmixError: the file is of another evaluation, or does not hold items.
    """

    path: Path | None = None
    about: dict = field(default_factory=dict)
    rows: dict[int, dict] = field(default_factory=dict)

    def __post_init__(self):
        if self.path is None or not self.path.exists():
            return
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            about, self.rows = found["about"], {int(i): row for i, row in found["rows"].items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnmixError(f"{self.path}: not the items of an evaluation ({error})") from None
        if about != self.about:
            raise UnmixError(f"{self.path} is of another evaluation: name another folder")

    def keep(self, rows: dict[int, dict]) -> None:
        """Write what is done so far."""
        if self.path is not None:
            write_text(self.path, json.dumps({"about": self.about, "rows": rows}) + "\n")


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
    rows = each(searches, count, workers, "refine", items.rows, items.keep)
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
