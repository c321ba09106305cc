"""What each piece of an answer contributes: ablations with the bundled weights, no training.

    python examples/research/ablations.py first|refined runs/rows.jsonl --count 120

Of first answers, or of answers after STEPS steps of search, on held-out chains of three, four and
five effects on the probe. All conditions meet the same recordings. A JSON line for each is appended
to the file, where a run that was broken off goes on; ``--count 0`` tells what is there. The table:
each figure, its difference to the baseline, one standard error (bootstrap over recordings).

A feature is silenced as training masks it (a group of SpecAugment at zero, as its branch reads it).
Without the order test the re-ranker reads 0, as for candidates with no rival of the same effects;
without bias correction knobs stay at the posterior medians, with the posterior's spread; without
``descend_through_proxies`` its steps are left to the real effects. A move that changed nothing in
the baseline's search would change nothing by its absence, as it draws no random numbers: there the
baseline's figures count, less the CPU time of the move. "ran": searches that were run.
"""

import json
import math
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import torch
import typer

from unmix import effects
from unmix.analysis.analyze import refine_posteriors
from unmix.data.chains import labels
from unmix.evaluation.held_out import ask, held_out, knob_errors, last
from unmix.inference import order_test
from unmix.inference.predict import predict
from unmix.networks.inputs import network_inputs
from unmix.runtime.workers import process_map
from unmix.search.options import SearchOptions
from unmix.search.schedule import Search
from unmix.search.schedule_settings import SCHEDULE
from unmix.search.starts import prediction
from unmix.weights import bundled_models, load_proxy

SEED, LENGTHS, BEAMS, STEPS, BOOTSTRAPS = 11, (3, 4, 5), 10, 150, 4000
PROXIES = "unmix.search.proxy_descent.descend_through_proxies"
LEAST = 1e-4  # probability that the true chain counts with at least, also if it is no candidate


def silenced(group: str):
    """``network_inputs`` with one group of features at zero."""
    return lambda features, groups: network_inputs(features, [g for g in groups if g != group])


def no_order_test(posteriors, *_):
    return torch.zeros(len(posteriors), order_test.BASES, order_test.VIEWS)


def no_move(*_):
    return False


# {condition: (what is replaced, by what)}; ESCAPES are moves in the settings of the schedule
PIECES = {
    "first": {
        "nonlinear coherence silenced": ("unmix.networks.model.network_inputs", silenced("shaped")),
        "amplitudes silenced": ("unmix.networks.model.network_inputs", silenced("amplitudes")),
        "order test off": ("unmix.inference.rerank.order_scores", no_order_test),
        "bias correction off": ("unmix.inference.rerank.correct_bias", lambda _, same, *__: same),
    },
    "refined": {
        "line_search off": ("line_search", no_move),
        "trade_rate off": ("trade_rate", no_move),
        "try_options off": ("try_options", no_move),
        "relocate_band off": ("unmix.search.band_moves.relocate_band", no_move),
        "refine_rate_grid off": ("unmix.search.lfo_moves.refine_rate_grid", no_move),
        "descend_through_proxies off": (PROXIES, no_move),
    },
}
ESCAPES = {move.__name__: move for move in SCHEDULE.escapes}
# {title: (key in a row, how recordings are averaged, decimals)}; "knobs": weighted by their number
CHAIN, CPU = {"chain %": ("right", "mean", 1)}, {"median CPU s": ("cpu_s", "median", 1)}
KNOBS = {"audible-knob error": ("audible", "knobs", 4)}
SURPRISE = {"−ln p(true)": ("surprise", "mean", 3), "of network alone": ("alone", "mean", 3)}
ESR = {f"{how} ESR dB": ("esr_db", how, 1) for how in ("median", "mean")}
FIGURES = {
    "first": CHAIN | {"set %": ("set", "mean", 1)} | KNOBS | SURPRISE | CPU,
    "refined": CHAIN | {"median MSS": ("mss", "median", 5)} | ESR | KNOBS | CPU,
}


def named(chain, question) -> dict:
    """How right a chain is, by equivalence and as a set, and the error of its audible knobs."""
    names, right = chain.canonical().names, question.true.canonical().names
    errors = last(knob_errors(chain, question.true, question.audible)["audible"])
    share = {"right": 100 * (names == right), "set": 100 * (set(names) == set(right))}
    return share | {"audible": float(np.mean(errors)) if errors else 0.0, "knobs": len(errors)}


def first_answer(question) -> dict:
    (model, reranker), right = bundled_models(), question.true.canonical().names
    start = time.process_time()
    found = predict(question.prepare(), model, BEAMS, reranker)
    cpu_s = time.process_time() - start
    z = model.encoder(model.network_inputs(found.features))
    order = labels(question.true, model.effects)["order"]
    alone = float(model.decoder(z, torch.from_numpy(order)[None]))
    likely = [one.log_prob for one in found.posteriors if one.names == right]
    figures = {"surprise": -max([math.log(LEAST), *likely]), "alone": -alone, "cpu_s": cpu_s}
    return named(prediction(found.posteriors[0]).chain, question) | figures


def refined_answer(question, problem, posteriors: list, proxies: dict) -> dict:
    start, options = time.process_time(), SearchOptions(STEPS)
    generator = torch.Generator().manual_seed(0)
    _, found = refine_posteriors(problem, posteriors, proxies, options, generator)
    figures = {"cpu_s": time.process_time() - start, "steps": len(found.history), "ran": True}
    figures |= {"mss": found.after, "esr_db": max(problem.judge.esr_db(found.chain), -120.0)}
    return named(found.chain, question) | figures


def noted(move, log: Counter):
    """A move that notes its calls, how many changed something, and its CPU time."""

    def wrapped(*args):
        start = time.process_time()
        moved = move(*args)
        log.update(cpu_s=time.process_time() - start, calls=1, moved=moved)
        return moved

    return wrapped


def replaced(changes: dict):
    """The patches of {what is replaced: by what}."""
    escapes = tuple(changes.pop(name, move) for name, move in ESCAPES.items())
    above = math.inf if changes.get(PROXIES) is no_move else SCHEDULE.proxies_above
    schedule = replace(SCHEDULE, escapes=escapes, proxies_above=above)
    stack = ExitStack()
    stack.enter_context(patch("unmix.search.refine.Search", partial(Search, schedule=schedule)))
    for target, new in changes.items():
        stack.enter_context(patch(target, new))
    return stack


def ablated(kind: str, i: int) -> dict:
    """All conditions of recording i, one after the other."""
    question = ask(held_out(SEED, "probe", length=LENGTHS[i % len(LENGTHS)]), i)
    run, pieces, logs, watched = partial(first_answer, question), PIECES[kind], {}, {}
    if kind == "refined":
        problem, (model, reranker) = question.prepare(), bundled_models()
        posteriors = predict(problem, model, BEAMS, reranker).posteriors
        proxies = {name: load_proxy(name) for name in effects.names()}
        run = partial(refined_answer, question, problem, posteriors, proxies)
        for name, (target, _) in pieces.items():
            logs[name] = Counter()
            move = ESCAPES.get(target) or resolve_name(target)
            watched[target] = noted(move, logs[name])
    with replaced(watched):
        found = {"baseline": (baseline := run())}
    for name, (target, new) in pieces.items():
        log = logs.get(name, {"moved": 1})
        if log["calls" if target == PROXIES else "moved"]:
            with replaced({target: new}):
                found[name] = run()
        else:
            found[name] = baseline | {"cpu_s": baseline["cpu_s"] - log["cpu_s"], "ran": False}
    return {"i": i, "length": len(question.true.names), "found": found, "logs": logs}


def averaged(rows: list[dict], chosen: np.ndarray, key: str, how: str) -> np.ndarray:
    """A figure of each choice (draws, n) of recordings: (draws,)."""
    values = np.array([row[key] for row in rows], float)[chosen]
    if how == "median":
        return np.median(values, 1)
    weights = np.array([row["knobs"] if how == "knobs" else 1 for row in rows])[chosen]
    return (values * weights).sum(1) / np.maximum(weights.sum(1), 1)


def table(kind: str, rows: list[dict]) -> None:
    """Print the figures of all conditions as Markdown."""
    chosen = np.random.default_rng(0).integers(len(rows), size=(BOOTSTRAPS, len(rows)))
    chosen[0] = np.arange(len(rows))  # all as they are
    print(f"| {len(rows)} recordings | {' | '.join(FIGURES[kind])} | gained, lost | ran |")
    print(f"|{' --- |' * (len(FIGURES[kind]) + 3)}")
    base = [row["found"]["baseline"] for row in rows]
    for name in ("baseline", *PIECES[kind]):
        own, cells = [row["found"][name] for row in rows], [name]
        for key, how, digits in FIGURES[kind].values():
            value, before = (averaged(part, chosen, key, how) for part in (own, base))
            change, error = (value - before)[0], (value - before)[1:].std()
            cells.append(f"{value[0]:.{digits}f} ({change:+.{digits}f} ± {error:.{digits}f})")
        signs = [np.sign(x["right"] - y["right"]) for x, y in zip(own, base, strict=True)]
        cells += [f"+{signs.count(1)} −{signs.count(-1)}", sum(r.get("ran", True) for r in own)]
        print(f"| {' | '.join(map(str, cells))} |")


def main(kind: str, out: Path, count: int = 120, workers: int = 2) -> None:
    rows = {row["i"]: row for row in map(json.loads, out.open() if out.exists() else ())}

    def keep(rows: dict[int, dict]) -> None:
        with out.open("a") as file:
            file.write(json.dumps(rows[next(reversed(rows))]) + "\n")

    process_map(SimpleNamespace(item=partial(ablated, kind)), count, workers, kind, rows, keep)
    table(kind, [rows[i] for i in sorted(rows)])


if __name__ == "__main__":
    typer.run(main)
