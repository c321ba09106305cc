"""Moves: each does what it is for, and harms nothing."""

import numpy as np
import pytest
import torch
from fits import fitting, moved

from unmix import effects
from unmix.chain import Chain
from unmix.search import lfo_grid, lfo_moves, moves, proxy_descent


@pytest.mark.parametrize("rate", [0.3, 2.7])
def test_an_lfo_is_found_from_anywhere(rate):
    names = [name for name in effects.names() if effects.get(name).lfo]
    assert names
    for name in names:
        effect = effects.get(name)
        settings = effect.sample(np.random.default_rng(3)) | {effect.lfo.rate: rate}
        settings |= {effect.lfo.depth: 60.0, "feedback": 50.0, "dry_wet": 80.0}
        true = Chain([("saturator", {"drive": 10.0}), (name, settings)])
        wrong = {effect.lfo.rate: 1.0, effect.lfo.depth: 20.0, effect.lfo.phase: 200.0}
        guess = Chain([("saturator", {"drive": 6.0}), (name, settings | wrong)])
        found = fitting(true, guess)
        assert lfo_moves.search_lfo(found)
        for _ in range(2):
            for _ in range(6):
                found.descend()
            lfo_moves.search_lfo(found)
        for _ in range(6):
            found.descend()
        assert dict(found.chain.steps)[name][effect.lfo.rate] == pytest.approx(rate, rel=0.02)


def test_a_fast_lfo_is_found_in_front_of_a_long_reverb():
    true = Chain(
        [
            ("phaser", {"rate": 1.6, "depth": 65.0, "centre": 900.0, "feedback": 35.0}),
            ("reverb", {"room_size": 62.0, "damping": 30.0, "dry_wet": 30.0}),
        ]
    )
    wrong = {"rate": 0.2, "depth": 20.0, "centre": 500.0, "feedback": 28.0, "phase": 200.0}
    guess = moved(true, "phaser", dry_wet=30.0, **wrong)
    found = fitting(true, moved(guess, "reverb", dry_wet=27.0))
    assert lfo_moves.search_lfo(found)
    phaser = dict(found.chain.steps)["phaser"]
    assert phaser["rate"] == pytest.approx(1.6, abs=0.02)
    assert phaser["depth"] == pytest.approx(65, abs=5)


def test_perturbing_finds_another_option():
    for name in effects.names():
        for switch in effects.get(name).switches[:1]:
            wrong, right = switch.options[:2]
            settings = {"drive": 20.0} if name == "saturator" else {"gain_1": 12.0, "gain_4": 12.0}
            true = Chain([(name, settings | {switch.name: right})])
            found = fitting(true, moved(true, name, **{switch.name: wrong}))
            assert moves.perturb(found)
            assert dict(found.chain.steps)[name][switch.name] == right


def stuck(found):
    """The point at which its descent ends."""
    moves.descend_steps(found, 12)
    return found


def test_an_option_is_found_whose_knobs_are_elsewhere():
    """tanh and the sine of a steeper curve: another drive and output make up for the option."""
    eq = {"gain_3": 6.0, "freq_3": 2_000.0}
    right = {"curve": "analog", "drive": 2.0, "output": -8.0}
    true = Chain([("saturator", right), ("eq", eq)])
    wrong = Chain([("saturator", right | {"curve": "soft_sine", "drive": 0.5}), ("eq", eq)])
    found = stuck(fitting(true, wrong))
    before = found.cost
    other = dict(found.chain.steps)["saturator"] | {"curve": "analog"}
    assert (
        fitting(true, Chain([("saturator", other), ("eq", eq)])).cost > before
    )  # alone it does not help
    assert moves.try_options(found)
    assert dict(found.chain.steps)["saturator"]["curve"] == "analog"
    assert stuck(found).cost < 0.1 * before


def test_a_line_search_leaves_a_plateau():
    """A lower threshold above the upper one does nothing, wherever it is."""
    true = Chain([("ott", {"amount": 60.0, "above_mid": -25.0, "below_mid": -32.0})])
    found = stuck(fitting(true, moved(true, "ott", below_mid=-14.0)))
    before = found.cost
    assert dict(found.chain.steps)["ott"]["below_mid"] > -20
    assert moves.line_search(found) and stuck(found).cost < 0.1 * before
    assert dict(found.chain.steps)["ott"]["below_mid"] == pytest.approx(-32, abs=0.5)


def test_trading_rate_goes_along_the_valley_of_a_slow_lfo():
    slow = {"rate": 0.08, "depth": 60.0, "centre": 700.0, "feedback": 40.0, "phase": 60.0}
    true = Chain([("phaser", slow)])
    effect = effects.get("phaser")
    seconds = np.linspace(0, 4, 64)
    (like,) = lfo_grid.equivalent_lfo(effect, effect.panel.complete(slow), seconds, [0.16])
    found = stuck(fitting(true, moved(true, "phaser", **like)))
    before = found.cost
    for _ in range(2):
        lfo_moves.trade_rate(found)
        stuck(found)
    assert found.cost < 0.2 * before
    rate = dict(found.chain.steps)["phaser"]["rate"]
    assert abs(np.log(rate / 0.08)) < abs(np.log(0.16 / 0.08)) / 2
    fast = Chain([("phaser", {"rate": 2.0})])
    assert not lfo_moves.trade_rate(fitting(fast, moved(fast, "phaser", centre=1_100.0)))


def test_refining_the_rate_grid_finds_the_rate_of_a_slow_lfo():
    slow = {"rate": 0.07, "depth": 65.0, "centre": 1_360.0, "feedback": 38.0, "phase": 282.0}
    true = Chain([("phaser", slow), ("eq", {"gain_2": -8.0, "gain_3": 6.0})])
    effect = effects.get("phaser")
    seconds = np.linspace(0, 4, 64)
    (like,) = lfo_grid.equivalent_lfo(effect, effect.panel.complete(slow), seconds, [0.077])
    found = fitting(true, moved(true, "phaser", **like))
    found.descend_waveform(12)
    before = found.error()
    assert before > 1e-6
    assert not lfo_moves.refine_rate_grid(found, out_of_time=lambda: True)
    assert lfo_moves.refine_rate_grid(found) and found.error() < 0.1 * before
    rate = dict(found.chain.steps)["phaser"]["rate"]
    assert abs(rate - 0.07) < 2 * effect.lfo.grain_hz
    assert not lfo_moves.refine_rate_grid(fitting(true, true))  # nothing is left to find
    assert not lfo_moves.refine_rate_grid(fitting(true, moved(true, "eq", gain_2=8.0)))  # too far


def test_an_lfo_is_copied_where_it_is_nearer():
    eq = ("eq", {"gain_2": 6.0})
    true = Chain([("phaser", {"rate": 1.3, "phase": 40.0}), eq])
    turned = Chain([eq, ("phaser", {"rate": 0.3, "phase": 200.0})])
    found, without = fitting(true, turned), fitting(true, Chain([eq]))
    before = found.cost
    lfo_moves.copy_lfo(found, [without])
    assert found.cost == before
    lfo_moves.copy_lfo(found, [without, fitting(true, true)])
    assert found.cost < 0.1 * before and found.searched_at == found.cost
    assert dict(found.chain.steps)["phaser"]["rate"] == pytest.approx(1.3, rel=1e-4)


def test_a_bad_proxy_does_no_harm():
    true = Chain([("reverb", {"room_size": 60.0})])
    found = fitting(true, moved(true, "reverb", room_size=59.0))
    before = found.cost
    torch.manual_seed(0)
    proxy_descent.descend_through_proxies(
        found, {"reverb": effects.get("reverb").build_proxy().requires_grad_(False)}, 3
    )
    assert found.cost <= before


def test_an_empty_chain_stays_as_it_is():
    found = fitting(Chain(), Chain())
    assert (
        not moves.perturb(found)
        and not lfo_moves.search_lfo(found)
        and not proxy_descent.descend_through_proxies(found, {}, 3)
    )
    assert (
        not moves.try_options(found)
        and not moves.line_search(found)
        and not lfo_moves.trade_rate(found)
    )
    assert not lfo_moves.refine_rate_grid(found)
    assert found.chain == Chain()
