"""Other methods, on problems that they can solve."""

import sys
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from unmix import effects
from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.errors import UnmixError
from unmix.evaluation import rivals
from unmix.recording.judge import Judge
from unmix.weights import load_proxy

DRY = signals.probe()
NAME = effects.names()[0]
TRUE = Chain([(NAME, {"drive": 18.0, "output": -6.0})])
JUDGE = Judge(TRUE.render(DRY, SAMPLE_RATE), DRY)
START = Chain([(NAME, {"drive": 9.0, "output": -12.0})])


def test_cma_comes_near():
    found = rivals.cma(JUDGE, [START], 4.0)
    assert found.distance < 0.1 * JUDGE.distance(START) and found.renders > 50
    assert found.distance == pytest.approx(JUDGE.distance(found.chain))


def test_cma_shares_its_time_and_returns_the_best(monkeypatch):
    monkeypatch.setattr("cma.CMAEvolutionStrategy.stop", lambda self: {})  # time alone ends it
    other = Chain([(effects.names()[-1], {})])
    found = rivals.cma(JUDGE, [other, START], 4.0)
    assert found.chain.names == (NAME,)
    seconds, distances = zip(*found.timeline, strict=True)
    assert seconds[0] < 0.5 and 3.5 < seconds[-1] < 6 and list(seconds) == sorted(seconds)
    assert list(distances) == sorted(distances, reverse=True) and distances[-1] == found.distance
    near = [second for second, distance in found.timeline if distance < 0.2 * distances[0]]
    assert near[0] > 1.5 and len(near) > 3  # the second chain is the right one


def test_circular_knobs_have_no_bounds():
    name = next(n for n in effects.names() if effects.get(n).panel.circular.any())
    chain = Chain([(name, {})])
    found = rivals.cma(Judge(chain.render(DRY, SAMPLE_RATE), DRY), [chain], 1.0)
    assert np.isfinite(found.distance)


def test_proxies_come_near_without_a_render(monkeypatch):
    ticks = count()  # a slow machine takes as many steps
    monkeypatch.setattr(rivals, "time", SimpleNamespace(monotonic=lambda: 0.1 * next(ticks)))
    found = rivals.proxies_only(JUDGE, [START, Chain()], {NAME: load_proxy(NAME)}, 4.0)
    assert found.distance < 0.3 * JUDGE.distance(START)
    assert found.renders == 0
    seconds, distances = zip(*found.timeline, strict=True)
    assert 2 < len(seconds) < 50 and distances[-1] == found.distance < distances[0]


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(UnmixError, match=r"unmix\[cma\]"):
        rivals.cma(JUDGE, [START], 1.0)
