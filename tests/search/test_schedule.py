"""The search: its budget, the neighbours of a leader, and which answer wins."""

import math

import numpy as np

from unmix import effects
from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain, canonical_order
from unmix.recording.judge import Judge
from unmix.search.ranking import SOLVED
from unmix.search.schedule import FINISH, LEFT_OUT, PUT_IN, RACE, RACED, Search
from unmix.search.starts import InitialPoint


def searching(dry, true, start, steps=20, **options):
    judge = Judge(true.render(dry, SAMPLE_RATE), dry)
    return Search(judge, [start], {}, steps, None, 0, "cpu", None, None, **options)


def test_neighbours_are_orders_one_edit_away_and_the_nearest_of_each_kind(dry, monkeypatch):
    a, b, c = names = effects.names()[:3]
    settings = {name: effects.get(name).sample(np.random.default_rng(3)) for name in names}
    true = Chain((name, settings[name]) for name in (b, c, a))  # one move away
    start = InitialPoint(Chain(settings.items()), -0.1)
    search = searching(dry, true, start)
    search.log_priors[a, b] = -2.0
    leader = search.fit([start])
    monkeypatch.setattr("unmix.search.schedule.TOO_FAR", (math.inf, 0.0))
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
    monkeypatch.setattr("unmix.search.schedule.TOO_FAR", (0.0, limit))
    assert search.neighbours([leader]) == []  # each had its chance
    search.raced.clear()
    near = search.neighbours([leader])
    assert len(near) == sum(fit.cost <= limit for fit in fits) < len(fits)


def test_two_effects_that_swap_may_want_other_knobs():
    """A saturator that is set in the wrong place is far off at first in the right one."""
    rng = np.random.default_rng(11)
    steps = [(name, effects.get(name).sample(rng)) for name in ("saturator", "ott")]
    true, wrong = Chain(steps), InitialPoint(Chain(steps[::-1]), -0.1)
    search = searching(signals.probe()[: 2 * SAMPLE_RATE], true, wrong, steps=None)
    search.evaluate(wrong)
    leader = search.fit([wrong])
    search.descend(leader, 20)
    (swapped,) = search.swapped(leader)
    assert swapped.chain.names == true.names and swapped.cost > 10 * leader.cost
    (raced,) = search.race([swapped])
    assert raced.cost < 0.5 * leader.cost
    assert search.swapped(leader) == []  # it had its chance
    leader.cost *= 0.4
    assert len(search.swapped(leader)) == 1


def test_a_race_goes_on_with_what_falls_fastest(dry):
    class Falling:
        def __init__(self, cost, factor):
            self.cost, self.factor, self.steps = cost, factor, 0

        def fall(self, steps):
            self.cost *= self.factor**steps
            self.steps += steps

    search = searching(dry, Chain(), InitialPoint(Chain()), steps=None)
    search.screen = lambda fits, steps: [fit.fall(steps) for fit in fits]
    search.descend = lambda fit, steps, finish: fit.fall(steps + finish)
    near, idle = Falling(1.0, 0.9), [Falling(0.9, 1.0) for _ in range(RACED)]
    far = Falling(5.0, 0.3)
    went_on = search.race([near, *idle, far])
    assert far in went_on and near in went_on and len(went_on) == RACED
    assert far.searched_at == math.inf and not hasattr(idle[-1], "swept")
    assert far.steps == RACE + RACE + FINISH and sorted(fit.steps for fit in idle)[0] == RACE


def test_steps_are_shared_out_and_never_exceeded(dry):
    chain = Chain([(effects.names()[0], {})])
    search = searching(dry, chain, InitialPoint(chain), steps=10)
    search.evaluate(InitialPoint(chain))
    assert search.allot(4, 2) == 4 and search.allot(4, 3) == 3 and search.allot(4, 11) == 0
    search.count(8)
    assert search.allot(4, 1) == 2 and search.allot(4, 3) == 0
    search.count(2)
    assert search.exhausted() and search.allot(1, 1) == 0
    assert [step for step, _ in search.history] == list(range(1, 11))


def test_of_one_order_the_nearest_fit_leads(dry):
    name = effects.names()[0]
    knob = effects.get(name).knobs[0]
    true = Chain([(name, {knob.name: knob.high})])
    near, far = (
        InitialPoint(Chain([(name, {knob.name: knob.from_unit(u)})]), -1.0) for u in (0.95, 0.1)
    )
    search = searching(dry, true, near)
    fits = [search.fit([start]) for start in (far, near, InitialPoint(Chain()))]
    assert [fit.chain.names for fit in search.leaders(fits, 5)] == [(name,), ()]
    assert search.leaders(fits, 5)[0] is fits[1]


def test_an_effect_that_does_nothing_goes(dry):
    a, b = effects.names()[:2]
    settings = {name: effects.get(name).sample(np.random.default_rng(4)) for name in (a, b)}
    true = Chain([(a, settings[a])])
    idle = {"dry_wet": 0.0} if b != "eq" else {f"gain_{band}": 0.0 for band in (1, 2, 3, 4)}
    idle |= {"mode_1": "bell", "mode_4": "bell"} if b == "eq" else {}
    start = InitialPoint(Chain([(b, idle), (a, settings[a] | {"dry_wet": 60.0})]), -0.5)
    search = searching(dry, true, start)
    search.log_priors[(a,)] = -3.0
    without = search.prune(search.fit([start]))
    assert without.chain.names == (a,) and without.start.log_prob == -3.0
    both = InitialPoint(Chain(settings.items()), -0.5)
    search = searching(dry, both.chain, both)
    assert search.prune(search.fit([both])).chain.names == both.chain.canonical().names


def test_a_long_answer_is_tried_without_each_of_its_effects_in_other_orders(dry):
    """What an effect too many makes up for may be an order."""
    a, b, c = effects.names()[0], effects.names()[2], effects.names()[4]
    settings = {name: effects.get(name).sample(np.random.default_rng(3)) for name in (a, b, c)}
    true = Chain([(b, settings[b]), (c, settings[c])])
    long = Chain([(c, settings[c]), (a, settings[a]), (b, settings[b])])
    search = searching(dry, true, InitialPoint(long, -0.1), steps=None)
    leader = search.fit([InitialPoint(long, -0.1)])
    search.evaluate(leader.start)
    search.try_alternatives(leader)
    assert search.best[canonical_order((b, c))].distance < 1e-3
    assert {len(names) for names in search.best} == {2, 3}


def test_effects_that_nearly_commute_are_tried_in_both_orders(dry):
    """An answer at which nothing seems left to find may have them the wrong way round."""
    steps = [("phaser", {"depth": 3.0, "rate": 3.0}), ("eq", {"gain_2": 6.0, "gain_3": -4.0})]
    true, wrong = Chain(steps), InitialPoint(Chain(steps[::-1]), -0.1)
    search = searching(dry, true, wrong, steps=None)
    leader = search.fit([wrong])
    assert 1e-5 < search.evaluate(wrong) <= SOLVED
    search.try_alternatives(leader)
    assert search.best[true.names].distance < 0.1 * search.best[wrong.chain.names].distance


def test_ways_out_are_looked_for_once_for_a_cost(dry, monkeypatch):
    tried = []
    for name in ("flip", "scan", "slide"):
        monkeypatch.setattr(f"unmix.search.moves.{name}", lambda fit, name=name: tried.append(name))
    chain = Chain([(effects.names()[0], {})])
    search = searching(dry, chain, InitialPoint(chain))
    fit = search.fit([InitialPoint(Chain([(effects.names()[0], {"drive": 20.0})]))])
    assert not search.escape([fit]) and tried == ["flip", "scan", "slide"]
    assert not search.escape([fit]) and len(tried) == 3
    fit.cost *= 0.4
    search.escape([fit])
    assert len(tried) == 6
