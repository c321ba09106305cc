"""Refinement: the real effects decide, and the answer never gets worse."""

import time

import numpy as np
import pytest
import torch

from unmix import effects
from unmix.audio import synthetic
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.recording.judge import Judge
from unmix.search.options import SearchOptions, Watch
from unmix.search.point import InitialPoint
from unmix.search.refine import refine
from unmix.search.starts import perturbed


def proxies(*names):
    """Untrained stand-ins: what the judge must cope with at the worst."""
    torch.manual_seed(0)
    return {name: effects.get(name).build_proxy().requires_grad_(False) for name in names}


@pytest.mark.parametrize("steps", [0, 12])
def test_never_farther_than_the_prediction_whatever_the_proxies(dry, two_effects, steps):
    rng = np.random.default_rng(5)
    true = Chain((name, effects.get(name).sample(rng)) for name in two_effects)
    recording = true.render(dry, SAMPLE_RATE)
    guess = Chain((name, {}) for name in two_effects)
    seen = []
    found = refine(
        Judge(recording, dry),
        perturbed(guess, 3, torch.Generator().manual_seed(0)),
        proxies(*two_effects),
        SearchOptions(steps),
        Watch(progress=lambda *news: seen.append(news)),
    )
    judge = Judge(recording, dry)
    assert found.before == pytest.approx(judge.distance(guess))
    assert found.after == pytest.approx(judge.distance(found.chain), abs=1e-6)  # rounding noise
    assert found.after <= found.before
    taken = [step for step, _ in found.history]
    assert taken == list(range(1, len(taken) + 1)) and len(taken) <= steps
    distances = [distance for _, distance in found.history]
    assert distances == sorted(distances, reverse=True)
    assert bool(seen) == bool(steps)


def test_the_same_seed_gives_the_same_answer(dry, two_effects):
    true = Chain((name, {}) for name in two_effects)
    points = perturbed(true, 3, torch.Generator().manual_seed(2))[1:]
    recording = true.render(dry, SAMPLE_RATE)
    first, again = (
        refine(Judge(recording, dry), points, proxies(*effects.names()), SearchOptions(15)).chain
        for _ in range(2)
    )
    assert first.steps == again.steps


def test_a_perfect_prediction_stays():
    dry = synthetic.synthetic(np.random.default_rng(9), SAMPLE_RATE)
    true = Chain([(effects.names()[-1], {})])
    recording = true.render(dry, SAMPLE_RATE)
    judge = Judge(recording, dry)
    found = refine(judge, [InitialPoint(true)], proxies(true.names[0]), SearchOptions(10))
    assert found.chain == true


def test_without_steps_the_prediction_is_the_answer_however_far_it_is(dry, two_effects):
    points = [InitialPoint(Chain([(name, {})]), -1.0) for name in two_effects]
    recording = points[1].chain.render(dry, SAMPLE_RATE)
    found = refine(Judge(recording, dry), points, {}, SearchOptions(0))
    assert [c.origin for c in found.candidates] == points
    assert found.after == found.before > found.candidates[1].distance == pytest.approx(0, abs=1e-6)


def test_a_wrong_option_is_found(dry):
    name = next(n for n in effects.names() if effects.get(n).switches)
    switch = effects.get(name).switches[0]
    right, wrong = (Chain([(name, {switch.name: option})]) for option in switch.options[-1:-3:-1])
    recording = right.render(5 * dry, SAMPLE_RATE)
    judge = Judge(recording, 5 * dry)
    points = [InitialPoint(wrong), InitialPoint(wrong)]
    found = refine(judge, points, proxies(name), SearchOptions(10))
    assert dict(found.chain.steps)[name][switch.name] == switch.options[-1]


def test_an_effect_without_a_proxy_is_refined_all_the_same(dry, two_effects):
    """Its chain goes without the proxies' descent, also where another effect has a proxy."""
    rng = np.random.default_rng(5)
    true = Chain((name, effects.get(name).sample(rng)) for name in two_effects)
    recording = true.render(dry, SAMPLE_RATE)
    points = perturbed(true, 3, torch.Generator().manual_seed(4))[1:]
    for known in ({}, proxies(two_effects[0])):
        found = refine(Judge(recording, dry), points, known, SearchOptions(12))
        assert found.chain.canonical().names == true.canonical().names
        assert found.after < 0.8 * found.before
        assert 0 < len(found.history) <= 12


def search(dry, name, stop=None, **options):
    """Refine of one effect from a guess; the result and the calls of progress."""
    true = Chain([(name, {})])
    points = perturbed(true, 3, torch.Generator().manual_seed(1))[1:]
    calls = []
    found = refine(
        Judge(true.render(dry, SAMPLE_RATE), dry),
        points,
        proxies(name),
        SearchOptions(**options),
        Watch(lambda *call: calls.append(call), stop),
    )
    assert found.after <= found.before and len(found.history) >= len(calls)
    return found, calls


@pytest.mark.parametrize("steps", [None, 0])
def test_time_alone_ends_a_search(dry, steps):
    name = effects.names()[-1]
    search(dry, name, steps=1)  # the first render takes longer
    began = time.monotonic()
    found, calls = search(dry, name, steps=steps, seconds=3.0)
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
    name = effects.names()[1]
    rough, fine = (search(dry, name, steps=2, polish=polish)[0].after for polish in (0, 10))
    assert fine < 0.5 * rough
