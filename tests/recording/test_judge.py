"""The judge: the real render is what is measured, whatever its level or polarity."""

import numpy as np
import pytest
import torch

from unmix import effects
from unmix.audio import synthetic
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.dsp import losses
from unmix.recording.judge import Judge


def test_the_judge_measures_the_real_render(dry):
    chain = Chain([(effects.names()[0], {})])
    recording = chain.render(dry, SAMPLE_RATE)
    judge = Judge(recording, dry)
    assert judge.distance(chain) < 1e-4
    assert judge.esr_db(chain) < -100
    pair = torch.from_numpy(dry)[None], torch.from_numpy(recording)[None]
    assert judge.distance(Chain()) == pytest.approx(float(losses.mss(*pair)), rel=1e-4)
    assert judge.renders == 2  # the first chain was asked about twice
    distance, error = judge.measures(Chain())
    assert distance == judge.distance(Chain()) and 0 < error < 10
    assert judge.measures(chain)[1] < 1e-9


def test_what_came_before_is_heard_and_not_compared():
    """A window that begins in the tail of a reverb: with its lead the true chain explains it."""
    source = synthetic.synthetic(np.random.default_rng(3), 4 * SAMPLE_RATE)
    true = Chain([("reverb", {"room_size": 80.0, "dry_wet": 60.0})])
    late = true.render(source, SAMPLE_RATE)[SAMPLE_RATE:]
    assert Judge(late, source).distance(true) < 1e-3
    assert Judge(late, source[SAMPLE_RATE:]).distance(true) > 0.1


def test_an_inverted_polarity_is_noticed_and_does_not_count(dry):
    true = Chain([("saturator", {"drive": 12.0})])
    judge = Judge(-true.render(dry, SAMPLE_RATE), dry)
    assert judge.esr_db(true) < -80 and judge.inverted(true)
    assert not Judge(true.render(dry, SAMPLE_RATE), dry).inverted(true)


def test_with_an_unknown_gain_only_the_shape_counts(dry):
    chain = Chain([(effects.names()[-1], {})])
    recording = 0.2 * chain.render(dry, SAMPLE_RATE)
    assert Judge(recording, dry).distance(chain) > 1
    assert Judge(recording, dry, match_gain=True).distance(chain) < 1e-3
