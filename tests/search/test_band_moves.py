"""Bands of an equaliser find their frequency where no descent does."""

import numpy as np
from fits import PROBE, fitting

from unmix import effects
from unmix.chain import Chain
from unmix.effects.base import EqBand
from unmix.search import band_moves, moves

EQ = {"freq_2": 300.0, "gain_2": 4.0, "q_2": 1.2, "gain_3": -4.0}
TRUE = Chain([("saturator", {"drive": 14.0}), ("eq", EQ)])


def descended(found):
    moves.descend_steps(found, 30)
    return found


def test_a_band_at_a_wrong_frequency_is_relocated():
    wrong = EQ | {"freq_2": 1150.0, "gain_2": -3.0, "q_2": 3.0}
    stuck = descended(fitting(TRUE, Chain([("saturator", {"drive": 14.0}), ("eq", wrong)])))
    assert stuck.still and stuck.cost > 0.1
    before = stuck.cost
    assert band_moves.relocate_band(stuck) and stuck.cost < 0.1 * before
    assert descended(stuck).cost < 0.01
    settings = dict(stuck.chain.steps)["eq"]
    assert abs(settings["freq_2"] - 300) < 3 and abs(settings["gain_2"] - 4) < 0.1


def test_nothing_moves_at_the_answer_or_far_from_it_or_without_bands():
    at = fitting(TRUE, TRUE)
    before = at.knobs
    assert not band_moves.relocate_band(at) and at.knobs is before
    far = fitting(TRUE, Chain([("saturator", {"drive": 0.0}), ("eq", {"gain_1": 15.0})]))
    assert far.cost > band_moves.BAND_MOVES.below and not band_moves.relocate_band(far)
    other = Chain([("reverb", {"room_size": 40.0})])
    assert not band_moves.relocate_band(fitting(other, Chain([("reverb", {"room_size": 41.0})])))


def test_each_band_names_its_knobs_and_is_flat_at_no_gain():
    found = 0
    for name in effects.names():
        effect = effects.get(name)
        for one in effect.eq_bands:
            assert isinstance(one, EqBand)
            knobs = {knob.name: knob for knob in effect.knobs}
            assert {one.freq, one.gain, one.q} <= set(knobs)
            flat = {other.gain: 0.0 for other in effect.eq_bands}
            for freq in (knobs[one.freq].low, knobs[one.freq].high):
                wet = effect.render(PROBE, 44_100, flat | {one.freq: freq})
                assert np.abs(wet - PROBE).max() < 1e-4
            found += 1
    assert found
