"""Remarks: a noise floor is told from what an answer does not explain."""

import numpy as np

from unmix.analysis.diagnostics import noise_floor
from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.recording.judge import Judge

PROBE = signals.probe()
CHAIN = Chain([("saturator", {"drive": 12.0}), ("eq", {"gain_2": 6.0})])
WET = CHAIN.render(PROBE, SAMPLE_RATE)


def test_a_noise_floor_is_found_at_its_level():
    hiss = np.random.default_rng(0).standard_normal(WET.size).astype(np.float32)
    judge = Judge(WET + np.float32(10 ** (-50 / 20)) * hiss, PROBE)
    assert abs(noise_floor(judge, CHAIN) + 50) < 0.5


def test_a_wrong_answer_and_a_perfect_one_are_no_noise():
    judge = Judge(WET, PROBE)
    assert noise_floor(judge, Chain([("saturator", {"drive": 6.0})])) is None
    assert noise_floor(judge, CHAIN) is None
