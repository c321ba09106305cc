"""Refine: the real effects decide, beliefs are used, and the answer never gets worse."""

import math
import time

import numpy as np
import pytest
import torch

from unmix import effects, losses, sources
from unmix.audio import SAMPLE_RATE
from unmix.chain import Chain
from unmix.judge import Judge
from unmix.nn.mixture import Mixture, to_normal
from unmix.refine import Candidate, pick, rank, refine
from unmix.starts import Rows, Start, around, flips, starts_from_beliefs

SHORT = slice(0, SAMPLE_RATE)


def proxies(*names):
    """Untrained stand-ins: what the judge must cope with at the worst."""
    torch.manual_seed(0)
    return {name: effects.get(name).build_proxy().requires_grad_(False) for name in names}


@pytest.fixture(scope="module")
def dry():
    return sources.synthetic(np.random.default_rng(3), 2 * SAMPLE_RATE)[SHORT]


@pytest.fixture(scope="module")
def two_effects():
    return effects.names()[0], effects.names()[-1]


def certain(name: str, u: float, sharpness: float = 20.0) -> Mixture:
    """One narrow component about u for every knob."""
    circular = torch.from_numpy(effects.get(name).panel.circular)
    numbers, angles = int((~circular).sum()), int(circular.sum())
    return Mixture(
        torch.zeros(1, 1),
        to_normal(torch.full((1, 1, numbers), u)),
        sharpness * torch.eye(numbers)[None, None],
        torch.full((1, 1, angles), 2 * math.pi * u),
        torch.full((1, 1, angles), 100.0),
        circular,
    )


class Belief:
    """What inverse.model.Belief gives, made by hand: every knob at u, all options as likely."""

    def __init__(self, names, u, log_prob):
        self.names, self.log_prob = names, log_prob
        self.mixtures = {name: certain(name, u) for name in names}
        counts = {name: [len(s.options) for s in effects.get(name).switches] for name in names}
        self.switches = {n: torch.zeros(len(c), dtype=torch.long) for n, c in counts.items()}
        self.switch_log_probs = {
            n: [torch.full((k,), -math.log(k)) for k in c] for n, c in counts.items()
        }


def test_the_judge_measures_the_real_render(dry):
    chain = Chain([(effects.names()[0], {})])
    recording = chain.render(dry, SAMPLE_RATE)
    judge = Judge(recording, dry)
    assert judge.distance(chain) < 1e-4
    assert judge.esr_db(chain) < -100
    pair = torch.from_numpy(dry)[None], torch.from_numpy(recording)[None]
    assert judge.distance(Chain()) == pytest.approx(float(losses.mss(*pair)), rel=1e-4)
    assert judge.renders == 3


def test_with_an_unknown_gain_only_the_shape_counts(dry):
    chain = Chain([(effects.names()[-1], {})])
    recording = 0.2 * chain.render(dry, SAMPLE_RATE)
    assert Judge(recording, dry).distance(chain) > 1
    assert Judge(recording, dry, match_gain=True).distance(chain) < 1e-3


def test_starts_hold_the_prediction_samples_and_other_options(two_effects):
    first, last = two_effects
    beliefs = [Belief((first, last), 0.4, -0.1), Belief((last,), 0.6, -3.0)]
    starts = starts_from_beliefs(beliefs, 3, torch.Generator().manual_seed(0))
    assert starts[0].chain.names == (first, last)
    knobs, _ = effects.get(first).to_unit(dict(starts[0].chain.steps)[first])
    np.testing.assert_allclose(knobs, 0.4, atol=1e-4)
    options = sum(len(s.options) - 1 for n in two_effects for s in effects.get(n).switches)
    assert sum(s.log_prob == -0.1 for s in starts) == 1 + 3 + options
    assert starts[0].mixtures.keys() == {first, last}


def test_an_empty_chain_is_a_start_too():
    (start,) = starts_from_beliefs([Belief((), 0.5, -0.2)])
    assert start.chain.steps == []


@pytest.mark.parametrize("name", effects.names())
def test_rows_give_back_the_settings_they_were_made_from(name):
    effect = effects.get(name)
    settings = effect.sample(np.random.default_rng(1))
    rows = Rows([Start(Chain([(name, settings)])), Start(Chain([(name, {})]))])
    knobs, switches = effect.to_unit(settings)
    again, again_switches = effect.to_unit(dict(rows.chain(0).steps)[name])
    assert effect.panel.distance(knobs, again).max() < 2e-3  # the ends of a range are left out
    assert (switches == again_switches).all()


def test_every_single_switch_is_flipped_once():
    chain = Chain((name, {}) for name in effects.names())
    others = flips(chain)
    switches = [s for name in effects.names() for s in effects.get(name).switches]
    assert len(others) == sum(len(s.options) - 1 for s in switches)
    for other in others:
        changed = [
            key
            for (_, a), (_, b) in zip(chain.steps, other.steps, strict=True)
            for key in a
            if a[key] != b[key]
        ]
        assert len(changed) == 1


def test_surprise_rises_away_from_the_belief(two_effects):
    name = two_effects[0]
    mixtures = {name: certain(name, 0.5)}
    near, far = (
        Start(Chain([(name, effects.get(name).from_unit([u] * n, [0] * s))]), -1.0, mixtures)
        for n, s in [(len(effects.get(name).knobs), len(effects.get(name).switches))]
        for u in (0.5, 0.8)
    )
    rows = Rows([near, far])
    surprise = rows.surprise(rows.knobs())
    assert surprise[1] > surprise[0] + 10


def test_the_first_batch_keeps_room_for_other_orders(dry, two_effects):
    first, last = two_effects
    right = Chain([(first, {})])
    recording = right.render(dry, SAMPLE_RATE)
    starts = [*around(right, 9, torch.Generator().manual_seed(0)), Start(Chain([(last, {})]))]
    leaders, batch = pick(Judge(recording, dry), starts, 4)
    assert [s.chain.names for s in leaders] == [(first,), (last,)]
    assert leaders[0] is starts[0]
    assert len(batch) == 4
    assert (last,) in [s.chain.names for s in batch]


@pytest.mark.parametrize(
    ("distances", "before", "answer"),
    [
        ((0.100, 0.105), 0.5, 1),  # as near, and more probable
        ((0.100, 0.140), 0.5, 0),  # clearly farther
        ((0.100, 0.105), 0.102, 0),  # farther than the prediction was
    ],
)
def test_of_chains_as_near_the_more_probable_is_the_answer(distances, before, answer, two_effects):
    starts = [Start(Chain([(n, {})]), p) for n, p in zip(two_effects, (-3.0, -0.1), strict=True)]
    candidates = [Candidate(s.chain, s, d) for s, d in zip(starts, distances, strict=True)]
    assert rank(candidates, before)[0] is candidates[answer]


@pytest.mark.parametrize("steps", [0, 12])
def test_never_farther_than_the_start_whatever_the_proxies(dry, two_effects, steps):
    rng = np.random.default_rng(5)
    true = Chain((name, effects.get(name).sample(rng)) for name in two_effects)
    recording = true.render(dry, SAMPLE_RATE)
    start = Chain((name, {}) for name in two_effects)
    seen = []
    found = refine(
        recording,
        dry,
        around(start, 3, torch.Generator().manual_seed(0)),
        proxies(*two_effects),
        steps,
        progress=lambda *news: seen.append(news),
    )
    judge = Judge(recording, dry)
    assert found.before == pytest.approx(judge.distance(start))
    assert found.after == pytest.approx(judge.distance(found.chain))
    assert found.after <= found.before
    assert [step for step, _ in found.history] == list(range(1, steps + 1))
    distances = [distance for _, distance in found.history]
    assert distances == sorted(distances, reverse=True)
    assert len(seen) == steps


def test_a_perfect_start_stays():
    dry = sources.synthetic(np.random.default_rng(9), SAMPLE_RATE)
    true = Chain([(effects.names()[-1], {})])
    recording = true.render(dry, SAMPLE_RATE)
    found = refine(recording, dry, [Start(true)], proxies(true.names[0]), 10)
    assert found.chain == true


def test_a_wrong_option_is_found_by_flipping(dry):
    name = next(n for n in effects.names() if effects.get(n).switches)
    switch = effects.get(name).switches[0]
    right, wrong = (Chain([(name, {switch.name: option})]) for option in switch.options[-1:-3:-1])
    recording = right.render(5 * dry, SAMPLE_RATE)
    found = refine(recording, 5 * dry, [Start(wrong), Start(wrong)], proxies(name), 10)
    assert dict(found.chain.steps)[name][switch.name] == switch.options[-1]


def search(dry, name, **options):
    """Refine of one effect from a guess; the result and the calls of progress."""
    true = Chain([(name, {})])
    starts = around(true, 3, torch.Generator().manual_seed(1))[::-1]
    calls = []
    found = refine(
        true.render(dry, SAMPLE_RATE),
        dry,
        starts,
        proxies(name),
        progress=lambda *call: calls.append(call),
        **options,
    )
    assert found.after <= found.before and len(found.history) == len(calls)
    return found, calls


def test_time_alone_ends_a_search(dry):
    name = effects.names()[0]
    began = time.monotonic()
    found, calls = search(dry, name, steps=None, seconds=1.0)
    assert 1.0 <= time.monotonic() - began < 20
    assert len(found.history) > 3
    steps, totals = [call[0] for call in calls], [call[1] for call in calls]
    assert steps == list(range(1, len(steps) + 1))
    assert totals[-1] == steps[-1] and all(total >= step for step, total, _ in calls)


def test_steps_and_time_bound_a_search_together(dry):
    name = effects.names()[0]
    assert len(search(dry, name, steps=5, seconds=600.0)[0].history) == 5
    assert len(search(dry, name, steps=100_000, seconds=0.3)[0].history) < 10_000


def test_a_stopped_search_gives_its_best_so_far(dry):
    name = effects.names()[0]
    asked = []

    def stop():
        asked.append(None)
        return len(asked) > 30

    found, calls = search(dry, name, steps=1_000, stop=stop)
    assert 3 < len(calls) < 40
    assert found.after == found.history[-1][1] or found.after <= calls[-1][2]
    assert search(dry, name, steps=1_000, stop=lambda: True)[0].history == []
