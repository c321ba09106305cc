"""Which knobs a render depends on, where that is known."""

import numpy as np
import pytest

from unmix import effects
from unmix.analysis.sensitivity import knob_sensitivity, undetermined
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, SAMPLE_RATE // 2).astype(np.float32)


def test_a_gain_changes_the_render_by_what_it_is():
    """From 0 to −4.8 dB (a fifth of 24 dB): the difference is 1 − 10^(−4.8/20)."""
    chain = Chain([("saturator", {"drive": 0.0, "curve": "hard", "output": 0.0, "dry_wet": 100.0})])
    names = [knob.name for knob in effects.get("saturator").knobs]
    change = knob_sensitivity(NOISE, chain, 0.2)["saturator"][names.index("output")]
    assert change == pytest.approx(20 * np.log10(1 - 10 ** (-4.8 / 20)), abs=0.01)


def test_a_move_the_other_way_counts_too():
    """At 0.45 of its range a drive into a hard clip does more upwards; the larger is taken where
    the first is not enough."""
    chain = Chain([("saturator", {"drive": 16.0, "curve": "fold"})])
    one, two = (knob_sensitivity(NOISE, chain, 0.2, least) for least in (-np.inf, 100.0))
    assert (two["saturator"] >= one["saturator"]).all()
    assert (two["saturator"] > one["saturator"]).any()


def test_a_cut_has_neither_gain_nor_q():
    chain = Chain([("eq", {"mode_1": "low_cut", "freq_1": 150.0, "gain_3": 9.0})])
    found = undetermined(NOISE, chain)["eq"]
    assert {"gain_1", "q_1"} <= set(found)
    assert not {"freq_1", "gain_3", "freq_3", "gain_2"} & set(found)


def test_what_comes_later_is_heard():
    """A gain ahead of a saturator that is fully dry is heard; the saturator's drive is not."""
    chain = Chain([("eq", {"gain_2": 6.0}), ("saturator", {"dry_wet": 0.0})])
    found = undetermined(NOISE, chain)
    assert "gain_2" not in found["eq"] and "drive" in found["saturator"]
    assert "dry_wet" not in found["saturator"]
