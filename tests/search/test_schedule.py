"""The search: its budget, the neighbours of a leader, and who moves when."""

import math
from dataclasses import replace

import numpy as np

from unmix import effects
from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain, canonical_order
from unmix.recording.judge import Judge
from unmix.search.neighbourhood import NEIGHBOURS, best
from unmix.search.options import SearchOptions, Watch
from unmix.search.point import InitialPoint
from unmix.search.ranking import SOLVED
from unmix.search.schedule import Search
from unmix.search.schedule_settings import SCHEDULE, Schedule


def searching(dry, true, point, steps=20, pool=(), **settings):
    """A search that may insert the effects of the pool; it has no proxies to descend through."""
    judge, proxies = Judge(true.render(dry, SAMPLE_RATE), dry), dict.fromkeys(pool)
    return Search(judge, [point], proxies, SearchOptions(steps), Watch(), **settings)


def test_neighbours_are_orders_one_edit_away_and_the_nearest_of_each_kind(dry):
    a, b, c = names = effects.names()[:3]
    settings = {name: effects.get(name).sample(np.random.default_rng(3)) for name in names}
    true = Chain((name, settings[name]) for name in (b, c, a))  # one move away
    point = InitialPoint(Chain(settings.items()), -0.1)
    anywhere = replace(NEIGHBOURS, reach=(math.inf, 0.0))
    search = searching(dry, true, point, pool=effects.names(), neighbours=anywhere)
    around = search.neighbourhood
    around.log_priors[a, b] = -2.0
    leader = search.fit([point])
    fits = around.neighbours([leader])
    orders = [fit.chain.names for fit in fits]
    assert len(set(orders)) == len(orders) and canonical_order(names) not in orders
    by_length = {n: [fit for fit in fits if len(fit.chain.names) == n] for n in (2, 3, 4)}
    moves = {(b, a, c), (a, c, b), (b, c, a), (c, a, b)}
    assert set(orders) >= {canonical_order(order) for order in moves} - {canonical_order(names)}
    assert len(by_length[2]) == NEIGHBOURS.left_out and len(by_length[4]) == NEIGHBOURS.inserted
    nearest = min(by_length[3], key=lambda fit: fit.cost)
    assert nearest.chain.names == canonical_order((b, c, a)) and nearest.cost < 1e-6
    assert all(canonical_order(order) == order for order in orders)
    sides = {fit.chain.names: fit.origin.log_prob for fit in fits}
    assert all(p == (-2.0 if order == (a, b) else -math.inf) for order, p in sides.items())
    limit = (leader.cost + nearest.cost) / 2
    around.settings = replace(NEIGHBOURS, reach=(0.0, limit))
    assert around.neighbours([leader]) == []  # each has raced
    around.raced.clear()
    near = around.neighbours([leader])
    assert len(near) == sum(fit.cost <= limit for fit in fits) < len(fits)


def test_two_effects_that_swap_may_want_other_knobs():
    """A saturator that is set at the wrong position is far off at first at the right one."""
    rng = np.random.default_rng(11)
    steps = [(name, effects.get(name).sample(rng)) for name in ("saturator", "ott")]
    true, wrong = Chain(steps), InitialPoint(Chain(steps[::-1]), -0.1)
    search = searching(signals.probe()[: 2 * SAMPLE_RATE], true, wrong, steps=None)
    search.budget.evaluate(wrong)
    leader = search.fit([wrong])
    search.descend(leader, 20)
    (swapped,) = search.neighbourhood.far_swaps(leader)
    assert swapped.chain.names == true.names and swapped.cost > 10 * leader.cost
    (raced,) = search.race([swapped])
    assert raced.cost < 0.5 * leader.cost
    assert search.neighbourhood.far_swaps(leader) == []  # it has raced
    leader.cost *= 0.4
    assert len(search.neighbourhood.far_swaps(leader)) == 1


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
    near, idle = Falling(1.0, 0.9), [Falling(0.9, 1.0) for _ in range(SCHEDULE.raced)]
    far = Falling(5.0, 0.3)
    went_on = search.race([near, *idle, far])
    assert far in went_on and near in went_on and len(went_on) == SCHEDULE.raced
    assert far.searched_at == math.inf and not hasattr(idle[-1], "searched_at")
    race = SCHEDULE.race_steps
    assert far.steps == race + race + SCHEDULE.waveform_steps
    assert sorted(fit.steps for fit in idle)[0] == race


def test_steps_are_shared_out_and_never_exceeded(dry):
    chain = Chain([(effects.names()[0], {})])
    budget = searching(dry, chain, InitialPoint(chain), steps=10).budget
    budget.evaluate(InitialPoint(chain))
    assert budget.allot(4, 2) == 4 and budget.allot(4, 3) == 3 and budget.allot(4, 11) == 0
    budget.count(8)
    assert budget.allot(4, 1) == 2 and budget.allot(4, 3) == 0
    budget.count(2)
    assert budget.exhausted() and budget.allot(1, 1) == 0
    assert [step for step, _ in budget.history] == list(range(1, 11))


def test_of_one_order_the_nearest_fit_is_kept(dry):
    name = effects.names()[0]
    knob = effects.get(name).knobs[0]
    true = Chain([(name, {knob.name: knob.high})])
    near, far = (
        InitialPoint(Chain([(name, {knob.name: knob.from_unit(u)})]), -1.0) for u in (0.95, 0.1)
    )
    search = searching(dry, true, near)
    fits = [search.fit([point]) for point in (far, near, InitialPoint(Chain()))]
    assert [fit.chain.names for fit in best(fits, 5)] == [(name,), ()]
    assert best(fits, 5)[0] is fits[1]


def test_an_effect_that_does_nothing_goes(dry):
    a, b = effects.names()[:2]
    settings = {name: effects.get(name).sample(np.random.default_rng(4)) for name in (a, b)}
    true = Chain([(a, settings[a])])
    idle = {"dry_wet": 0.0} if b != "eq" else {f"gain_{band}": 0.0 for band in (1, 2, 3, 4)}
    idle |= {"mode_1": "bell", "mode_4": "bell"} if b == "eq" else {}
    point = InitialPoint(Chain([(b, idle), (a, settings[a] | {"dry_wet": 60.0})]), -0.5)
    search = searching(dry, true, point)
    search.neighbourhood.log_priors[(a,)] = -3.0
    without = search.prune(search.fit([point]))
    assert without.chain.names == (a,) and without.origin.log_prob == -3.0
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
    search.budget.evaluate(leader.origin)
    search.try_alternatives(leader)
    assert search.budget.best[canonical_order((b, c))].distance < 1e-3
    assert {len(names) for names in search.budget.best} == {2, 3}


def test_effects_that_nearly_commute_are_tried_in_both_orders(dry):
    """An answer at which nothing seems left to find may have them in the wrong order."""
    steps = [("phaser", {"depth": 3.0, "rate": 3.0}), ("eq", {"gain_2": 6.0, "gain_3": -4.0})]
    true, wrong = Chain(steps), InitialPoint(Chain(steps[::-1]), -0.1)
    search = searching(dry, true, wrong, steps=None)
    leader = search.fit([wrong])
    assert 1e-5 < search.budget.evaluate(wrong) <= SOLVED
    search.try_alternatives(leader)
    assert (
        search.budget.best[true.names].distance
        < 0.1 * search.budget.best[wrong.chain.names].distance
    )


def test_escapes_are_tried_once_for_a_cost(dry):
    tried, names = [], ["options", "line", "rate"]
    escapes = tuple(lambda fit, name=name: tried.append(name) for name in names)
    chain = Chain([(effects.names()[0], {})])
    search = searching(dry, chain, InitialPoint(chain), schedule=Schedule(escapes=escapes))
    fit = search.fit([InitialPoint(Chain([(effects.names()[0], {"drive": 20.0})]))])
    assert not search.escape([fit]) and tried == names
    assert not search.escape([fit]) and len(tried) == 3
    fit.cost *= 0.4
    search.escape([fit])
    assert len(tried) == 6
