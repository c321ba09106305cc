"""Refine: the real effects decide, beliefs are used, and the answer never gets worse."""

import math
import time

import numpy as np
import pytest
import torch

from unmix import effects, losses, sources
from unmix.audio import SAMPLE_RATE
from unmix.chain import Chain, canonical_order
from unmix.judge import Judge
from unmix.nn.mixture import Mixture, to_normal
from unmix.refine import (
    FINISH,
    LEFT_OUT,
    PUT_IN,
    RACE,
    RACED,
    Candidate,
    Search,
    rank,
    refine,
)
from unmix.starts import Rows, Start, around, starts_from_beliefs

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


def test_what_came_before_is_heard_and_not_compared():
    """A window that begins in the tail of a reverb: with its lead the true chain explains it."""
    source = sources.synthetic(np.random.default_rng(3), 4 * SAMPLE_RATE)
    true = Chain([("reverb", {"room_size": 80.0, "dry_wet": 60.0})])
    late = true.render(source, SAMPLE_RATE)[SAMPLE_RATE:]
    assert Judge(late, source).distance(true) < 1e-3
    assert Judge(late, source[SAMPLE_RATE:]).distance(true) > 0.1


def test_a_turned_polarity_is_noticed_and_does_not_count(dry):
    true = Chain([("saturator", {"drive": 12.0})])
    judge = Judge(-true.render(dry, SAMPLE_RATE), dry)
    assert judge.esr_db(true) < -80 and judge.turned(true)
    assert not Judge(true.render(dry, SAMPLE_RATE), dry).turned(true)


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


def searching(dry, true, start, steps=20, **options):
    judge = Judge(true.render(dry, SAMPLE_RATE), dry)
    return Search(judge, [start], {}, steps, None, 0, "cpu", None, None, **options)


def test_neighbours_are_orders_one_edit_away_and_the_nearest_of_each_kind(dry, monkeypatch):
    a, b, c = names = effects.names()[:3]
    settings = {name: effects.get(name).sample(np.random.default_rng(3)) for name in names}
    true = Chain((name, settings[name]) for name in (b, c, a))  # one move away
    start = Start(Chain(settings.items()), -0.1)
    search = searching(dry, true, start)
    search.believed[a, b] = -2.0
    leader = search.fit([start])
    monkeypatch.setattr("unmix.refine.TOO_FAR", (math.inf, 0.0))
    fits = search.neighbours([leader])
    orders = [fit.chain.names for fit in fits]
    assert len(set(orders)) == len(orders) and canonical_order(names) not in orders
    by_length = {n: [fit for fit in fits if len(fit.chain.names) == n] for n in (2, 3, 4)}
    moves = {(b, a, c), (a, c, b), (b, c, a), (c, a, b)}
    assert set(orders) >= {canonical_order(order) for order in moves} - {canonical_order(names)}
    assert len(by_length[2]) == LEFT_OUT and len(by_length[4]) == PUT_IN
    nearest = min(by_length[3], key=lambda fit: fit.cost)
    assert nearest.chain.names == canonical_order((b, c, a)) and nearest.cost < 1e-6
    assert all(canonical_order(order) == order for order in orders)
    sides = {fit.chain.names: fit.start.log_prob for fit in fits}
    assert all(p == (-2.0 if order == (a, b) else -math.inf) for order, p in sides.items())
    limit = (leader.cost + nearest.cost) / 2
    monkeypatch.setattr("unmix.refine.TOO_FAR", (0.0, limit))
    near = search.neighbours([leader])
    assert len(near) == sum(fit.cost <= limit for fit in fits) < len(fits)


def test_a_race_goes_on_with_what_falls_fastest(dry):
    class Falling:
        def __init__(self, cost, factor):
            self.cost, self.factor, self.steps = cost, factor, 0

        def fall(self, steps):
            self.cost *= self.factor**steps
            self.steps += steps

    search = searching(dry, Chain(), Start(Chain()), steps=None)
    search.screen = lambda fits, steps: [fit.fall(steps) for fit in fits]
    search.descend = lambda fit, steps, finish: fit.fall(steps + finish)
    near, idle = Falling(1.0, 0.9), [Falling(0.9, 1.0) for _ in range(RACED)]
    far = Falling(5.0, 0.3)
    went_on = search.race([near, *idle, far])
    assert far in went_on and near in went_on and len(went_on) == RACED
    assert far.swept == math.inf and not hasattr(idle[-1], "swept")
    assert far.steps == RACE + RACE + FINISH and sorted(fit.steps for fit in idle)[0] == RACE


def test_steps_are_shared_out_and_never_exceeded(dry):
    chain = Chain([(effects.names()[0], {})])
    search = searching(dry, chain, Start(chain), steps=10)
    search.meet(Start(chain))
    assert search.share(4, 2) == 4 and search.share(4, 3) == 3 and search.share(4, 11) == 0
    search.count(8)
    assert search.share(4, 1) == 2 and search.share(4, 3) == 0
    search.count(2)
    assert search.over() and search.share(1, 1) == 0
    assert [step for step, _ in search.history] == list(range(1, 11))


def test_of_one_order_the_nearest_fit_leads(dry):
    name = effects.names()[0]
    knob = effects.get(name).knobs[0]
    true = Chain([(name, {knob.name: knob.high})])
    near, far = (Start(Chain([(name, {knob.name: knob.from_unit(u)})]), -1.0) for u in (0.95, 0.1))
    search = searching(dry, true, near)
    fits = [search.fit([start]) for start in (far, near, Start(Chain()))]
    assert [fit.chain.names for fit in search.leading(fits, 5)] == [(name,), ()]
    assert search.leading(fits, 5)[0] is fits[1]


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
    taken = [step for step, _ in found.history]
    assert taken == list(range(1, len(taken) + 1)) and len(taken) <= steps
    distances = [distance for _, distance in found.history]
    assert distances == sorted(distances, reverse=True)
    assert bool(seen) == bool(steps)


def test_the_same_seed_gives_the_same_answer(dry, two_effects):
    true = Chain((name, {}) for name in two_effects)
    starts = around(true, 3, torch.Generator().manual_seed(2))[1:]
    recording = true.render(dry, SAMPLE_RATE)
    first, again = (
        refine(recording, dry, starts, proxies(*effects.names()), 15).chain for _ in range(2)
    )
    assert first.steps == again.steps


def test_a_perfect_start_stays():
    dry = sources.synthetic(np.random.default_rng(9), SAMPLE_RATE)
    true = Chain([(effects.names()[-1], {})])
    recording = true.render(dry, SAMPLE_RATE)
    found = refine(recording, dry, [Start(true)], proxies(true.names[0]), 10)
    assert found.chain == true


def test_a_wrong_option_is_found(dry):
    name = next(n for n in effects.names() if effects.get(n).switches)
    switch = effects.get(name).switches[0]
    right, wrong = (Chain([(name, {switch.name: option})]) for option in switch.options[-1:-3:-1])
    recording = right.render(5 * dry, SAMPLE_RATE)
    found = refine(recording, 5 * dry, [Start(wrong), Start(wrong)], proxies(name), 10)
    assert dict(found.chain.steps)[name][switch.name] == switch.options[-1]


def search(dry, name, **options):
    """Refine of one effect from a guess; the result and the calls of progress."""
    true = Chain([(name, {})])
    starts = around(true, 3, torch.Generator().manual_seed(1))[1:]
    calls = []
    found = refine(
        true.render(dry, SAMPLE_RATE),
        dry,
        starts,
        proxies(name),
        progress=lambda *call: calls.append(call),
        **options,
    )
    assert found.after <= found.before and len(found.history) >= len(calls)
    return found, calls


def test_time_alone_ends_a_search(dry):
    name = effects.names()[-1]
    began = time.monotonic()
    found, calls = search(dry, name, steps=None, seconds=0.5)
    assert time.monotonic() - began < 20
    assert found.history
    assert all(total >= step for step, total, _ in calls)


def test_steps_and_time_bound_a_search_together(dry):
    name = effects.names()[-1]
    assert 0 < len(search(dry, name, steps=5, seconds=600.0)[0].history) <= 5
    began = time.monotonic()
    search(dry, name, steps=100_000, seconds=0.3)
    assert time.monotonic() - began < 20


def test_a_stopped_search_gives_its_best_so_far(dry):
    name = effects.names()[-1]
    asked = []

    def stop():
        asked.append(None)
        return len(asked) > 6

    found, calls = search(dry, name, steps=1_000, stop=stop)
    assert 0 < len(found.history) < 30
    assert found.after <= calls[-1][2]
    assert search(dry, name, steps=1_000, stop=lambda: True)[0].history == []


def test_a_search_leaves_the_number_of_threads_alone(dry):
    before = torch.get_num_threads()
    search(dry, effects.names()[-1], steps=4)
    assert torch.get_num_threads() == before


def test_the_timeline_falls(dry):
    found = search(dry, effects.names()[-1], steps=8)[0]
    seconds, distances = zip(*found.timeline, strict=True)
    assert list(seconds) == sorted(seconds) and distances[0] == found.before
    assert list(distances) == sorted(set(distances), reverse=True)


def test_polish_goes_on_where_the_steps_end(dry):
    name = effects.names()[0]
    rough, fine = (search(dry, name, steps=2, polish=polish)[0].after for polish in (0, 10))
    assert fine < 0.5 * rough
