"""A problem of a recording: its one judge, and chains told for the beginning of the source."""

import numpy as np
import pytest

from unmix.audio.io import SAMPLE_RATE
from unmix.audio.synthetic import synthetic
from unmix.chain import Chain
from unmix.errors import UnmixError
from unmix.features.spectra import WINDOW
from unmix.inference.resynthesis import render_candidates
from unmix.recording.prepare import prepare
from unmix.search.point import InitialPoint, Point

CHAIN = Chain([("phaser", {"rate": 0.37, "phase": 200.0}), ("reverb", {"room_size": 60.0})])


@pytest.fixture(scope="module")
def problem():
    """Of a recording of 14 s, of which the loud and varied part is the end."""
    dry = synthetic(np.random.default_rng(5), 14 * SAMPLE_RATE)
    dry[: 9 * SAMPLE_RATE] *= 0.001
    return prepare(CHAIN.render(dry, SAMPLE_RATE), SAMPLE_RATE, dry)


def test_there_is_one_judge_and_it_knows_where_its_source_begins(problem):
    assert problem.window_s > 4 and problem.judge is problem.judge
    assert problem.judge.begin_s == pytest.approx(problem.window_s - WINDOW / SAMPLE_RATE)
    assert problem.judge.distance(CHAIN) < 0.01
    elsewhere = CHAIN.at_time(1 / (2 * 0.37))
    assert problem.judge.distance(elsewhere) > 0.05


def test_points_of_a_search_take_and_give_chains_told_for_the_beginning(problem):
    point = Point(problem.judge, [InitialPoint(CHAIN)])
    assert point.cost < 0.01 < Point(problem.judge, [InitialPoint(CHAIN.at_time(1.0))]).cost
    assert problem.judge.distance(point.chain) < 0.01
    phase = dict(point.chain.steps)["phaser"]["phase"]
    assert phase == pytest.approx(200.0, abs=1e-3)


def test_candidates_are_told_for_the_window_and_render_its_lead_too(problem):
    recording, source = problem.pair.sounds()
    at_window = CHAIN.at_time(problem.window_s)
    chains = [at_window, at_window.at_time(1.0)]
    wets = [
        wet[: recording.size].numpy()
        for wet in render_candidates(chains, source, recording.size, None)
    ]
    errors = [np.square(wet - recording).sum() / np.square(recording).sum() for wet in wets]
    assert 10 * np.log10(errors[0]) < -35 < -20 < 10 * np.log10(errors[1])


def test_a_blind_problem_has_no_judge():
    blind = prepare(synthetic(np.random.default_rng(5), WINDOW), SAMPLE_RATE, "none")
    with pytest.raises(UnmixError, match="without its source"):
        blind.judge  # noqa: B018


def test_a_source_may_be_an_array_and_must_sound():
    dry = synthetic(np.random.default_rng(5), 2 * SAMPLE_RATE)
    assert prepare(dry, SAMPLE_RATE, dry).source == "file"
    with pytest.raises(UnmixError, match="the source is silent"):
        prepare(dry, SAMPLE_RATE, np.zeros_like(dry))
