"""Figures of the network and of refine on held-out chains. Each is fixed by seed and count.

Chains come from a random stream that training never draws from (dataset.ChainSampler, independent).
For the proxies see evaluate_proxies.py.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from unmix import effects, losses, metrics
from unmix.audio import SAMPLE_RATE
from unmix.belief import covered, unit_intervals
from unmix.chain import Chain, canonical_order, equivalents
from unmix.dataset import MAX_LENGTH, ChainSampler
from unmix.errors import UnmixError
from unmix.features import extract
from unmix.workers import each

AUDIBLE_MOVE, AUDIBLE_ESR_DB = 0.1, -40.0
SHARES = (0.5, 0.8, 0.9)  # of the intervals whose coverage is measured


def _esr_db(estimate: np.ndarray, target: np.ndarray) -> float:
    pair = torch.from_numpy(np.stack([estimate, target]))
    return float(metrics.ratio_db(float(losses.esr(*pair))))


def audible_knobs(source: np.ndarray, chain: Chain, recording: np.ndarray) -> dict:
    """{effect: (K,) bool}: whether moving a knob alone by AUDIBLE_MOVE changes the real render of
    the chain by more than AUDIBLE_ESR_DB."""
    result, heard = {}, source
    for place, (name, settings) in enumerate(chain.steps):
        effect, rest = effects.get(name), Chain(chain.steps[place + 1 :])
        knobs, switches = effect.to_unit(settings)
        flags = []
        for k in range(len(knobs)):
            moved = knobs.copy()
            moved[k] += AUDIBLE_MOVE if moved[k] < 0.5 else -AUDIBLE_MOVE
            wet = effect.render(heard, SAMPLE_RATE, effect.from_unit(moved, switches))
            flags.append(_esr_db(rest.render(wet, SAMPLE_RATE), recording) > AUDIBLE_ESR_DB)
        result[name] = np.array(flags)
        heard = effect.render(heard, SAMPLE_RATE, settings)
    return result


def knob_errors(answer: Chain, true: Chain, audible: dict) -> tuple[list, list, list]:
    """Errors |û − u| of the effects in both chains: all knobs, the audible ones; and whether each
    switch is right."""
    every, heard, switches = [], [], []
    answers = dict(answer.steps)
    for name, settings in true.steps:
        if name not in answers:
            continue
        effect = effects.get(name)
        (a, a_switch), (b, b_switch) = effect.to_unit(answers[name]), effect.to_unit(settings)
        error = effect.panel.distance(a, b)
        every += error.tolist()
        heard += error[audible[name]].tolist()
        switches += (a_switch == b_switch).tolist()
    return every, heard, switches


def _coverage(belief, true: Chain, generator: torch.Generator) -> dict[float, list[bool]]:
    """{share: whether each knob of the effects named rightly lies in its interval}."""
    result = {share: [] for share in SHARES}
    for name, settings in true.steps:
        if name not in belief.mixtures:
            continue
        knobs, _ = effects.get(name).to_unit(settings)
        for share in SHARES:
            found = unit_intervals(name, belief.mixtures[name], share, generator)
            result[share] += covered(name, found, knobs)
    return result


def _mean(values) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _held_out(seed: int, source: str, degraded: float = 0.0, **options) -> ChainSampler:
    """Chains of their own on one kind of source, from the stream that training never draws from."""
    return ChainSampler(seed, shares={source: 1.0}, degraded=degraded, independent=True, **options)


def hear(source: np.ndarray, recording: np.ndarray, hidden: bool = False) -> dict:
    """Features of one recording for the model; with ``hidden`` it is not told the source."""
    told = None if hidden else torch.from_numpy(source)[None]
    return extract(torch.from_numpy(recording)[None], told) | {"level_known": torch.ones(1)}


@dataclass(frozen=True)
class _Naming:
    """What every item of ``chains`` shares."""

    sampler: ChainSampler
    model: torch.nn.Module
    hidden_source: bool
    beams: int

    def item(self, i: int) -> dict:
        """The network's first answer to one held-out recording, and how right it is."""
        from unmix.starts import prediction

        seed = self.sampler.config["seed"]
        dry, true, recording = self.sampler.example(i)
        beliefs = self.model.believe(hear(dry, recording, self.hidden_source), self.beams)[0]
        answer = prediction(beliefs[0]).chain
        every, heard, switches = knob_errors(answer, true, audible_knobs(dry, true, recording))
        orders = equivalents(true.names)
        raw = orders[np.random.default_rng([seed, i]).integers(len(orders))]
        right = canonical_order(true.names)
        generator = torch.Generator().manual_seed(seed)
        return {
            "length": len(true.names),
            "true": true.names,
            "named": answer.names,
            "equivalence": answer.names == right,
            "raw": answer.names == raw,
            "ceiling": 1 / len(orders),
            "set": set(answer.names) == set(true.names),
            "top5": right in [b.names for b in beliefs[:5]],
            "edit": metrics.edit_distance(answer.names, right),
            "knobs": every,
            "audible": heard,
            "switches": switches,
            "coverage": _coverage(beliefs[0], true, generator),
        }


def chains(
    count: int = 250,
    seed: int = 1,
    source: str = "probe",
    hidden_source: bool = False,
    degrade: float = 0.0,
    length: int | None = None,
    folder=None,
    beams: int = 10,
    model=None,
    workers: int = 1,
) -> dict:
    """The network alone on held-out chains, lengths 1–5 in equal parts: beam search, no refine.

    Args:
        count, seed: which chains.
        source: what was sent through them; hidden_source: whether the network is not told.
        degrade: share of recordings with noise, band limit or resampling.
        length: one length only.
        folder: audio folder for half of the sources when ``source`` is "synthetic".
        model: an InverseModel; the bundled one if None.
        workers: processes of one thread each, if more than 1.

    Returns:
        {"count", "all": figures, "by_length": {n: figures}, "confusion": …}. Figures: by
        equivalence, raw with its ceiling (a right class gives a right order by chance 1 in as many
        as it has orders), as a set, top5, edit distance, knob error (all and audible knobs of the
        effects named rightly), share of switches right, coverage {share: …} of their knobs by
        intervals of 50, 80 and 90 % of the belief.
    """
    from unmix.weights import load_inverse

    if count < 1:
        raise UnmixError("count must be 1 or more")
    sampler = _held_out(seed, source, degrade, length=length, folder=folder)
    naming = _Naming(sampler, model or load_inverse(), hidden_source, beams)
    rows = each(naming, count, workers, "chains")
    lengths = sorted({row["length"] for row in rows})
    return {
        "count": count,
        "seed": seed,
        "source": "hidden" if hidden_source else source,
        "all": _summary(rows),
        "by_length": {n: _summary([r for r in rows if r["length"] == n]) for n in lengths},
        "effects": _detection(rows),
    }


def _summary(rows: list[dict]) -> dict:
    flat = {
        key: [value for row in rows for value in row[key]]
        for key in ("knobs", "audible", "switches")
    }
    return {
        "count": len(rows),
        **{key: _mean([row[key] for row in rows]) for key in ("equivalence", "raw", "ceiling")},
        **{key: _mean([row[key] for row in rows]) for key in ("set", "top5", "edit")},
        "knob_error": _mean(flat["knobs"]),
        "audible_knob_error": _mean(flat["audible"]),
        "switches": _mean(flat["switches"]),
        "coverage": {
            share: _mean([hit for row in rows for hit in row["coverage"][share]])
            for share in SHARES
        },
    }


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


@dataclass(frozen=True)
class _Searches:
    """What every item of ``refine`` shares; worker processes get one copy each."""

    sampler: ChainSampler
    model: torch.nn.Module
    proxies: dict
    steps: int
    top: int

    def item(self, i: int) -> dict:
        """Network, search and figures of one held-out chain."""
        from unmix.refine import refine as search
        from unmix.starts import starts_from_beliefs

        dry, true, recording = self.sampler.example(i)
        start = time.perf_counter()
        beliefs = self.model.believe(hear(dry, recording, False))[0][: self.top]
        generator = torch.Generator().manual_seed(self.sampler.config["seed"])
        starts = starts_from_beliefs(beliefs, generator=generator)
        found = search(recording, dry, starts, self.proxies, self.steps)
        seconds = time.perf_counter() - start
        audible = audible_knobs(dry, true, recording)
        right = canonical_order(true.names)
        return {
            "length": len(right),
            "seconds": seconds,
            "before": found.before,
            "after": found.after,
            "si_sdr": metrics.si_sdr_db(found.chain.render(dry, SAMPLE_RATE), recording),
            "right_before": canonical_order(starts[0].chain.names) == right,
            "right_after": canonical_order(found.chain.names) == right,
            "audible_before": knob_errors(starts[0].chain, true, audible)[1],
            "audible": knob_errors(found.chain, true, audible)[1],
        }


def refine(
    count: int = 100,
    seed: int = 1,
    steps: int = 200,
    source: str = "probe",
    top: int = 5,
    model=None,
    load=None,
    workers: int = 1,
) -> dict:
    """What refine makes of the network's first answers, by the real render.

    Args:
        count, seed: which held-out chains (lengths 1–5 in equal parts).
        steps: of gradient descent. top: believed chains that the search starts from.
        model, load: an InverseModel and name -> proxy; the bundled ones if None.
        workers: processes of one thread each, if more than 1.

    Returns:
        {"count", "worse", "better" (shares), "mss_before", "mss_after" (medians), "si_sdr_db"
        (median after), "equivalence_before", "equivalence_after", "audible_knob_error",
        "seconds" (mean an item), "by_length"}
    """
    from unmix.weights import load_inverse, load_proxy

    if count < 1 or steps < 1:
        raise UnmixError("count and steps must be 1 or more")
    stand_ins = {name: (load or load_proxy)(name) for name in effects.names()}
    searches = _Searches(_held_out(seed, source), model or load_inverse(), stand_ins, steps, top)
    rows = each(searches, count, workers, "refine")
    lengths = range(1, MAX_LENGTH + 1)
    return {
        "count": count,
        "seed": seed,
        "steps": steps,
        "all": _refine_summary(rows),
        "by_length": {
            n: _refine_summary(part)
            for n in lengths
            if (part := [r for r in rows if r["length"] == n])
        },
    }


def _refine_summary(rows: list[dict]) -> dict:
    before, after = (np.array([row[key] for row in rows]) for key in ("before", "after"))
    return {
        "count": len(rows),
        "worse": _mean(after > before),
        "better": _mean(after < before),
        "mss_before": float(np.median(before)),
        "mss_after": float(np.median(after)),
        "si_sdr_db": float(np.median([row["si_sdr"] for row in rows])),
        "equivalence_before": _mean([row["right_before"] for row in rows]),
        "equivalence_after": _mean([row["right_after"] for row in rows]),
        "audible_before": _mean([e for row in rows for e in row["audible_before"]]),
        "audible_after": _mean([e for row in rows for e in row["audible"]]),
        "seconds": _mean([row["seconds"] for row in rows]),
    }
