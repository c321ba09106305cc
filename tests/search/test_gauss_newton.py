"""Levenberg-Marquardt: slopes are right, and descents in both objectives get nearer."""

import numpy as np
import pytest
import torch
from fits import PROBE, fitting, moved

from unmix import effects
from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.effects.batch import LANES
from unmix.recording.judge import Judge
from unmix.recording.objective import SOFT_DB, SpectrogramObjective, WaveformObjective, moving_mean
from unmix.search.gauss_newton import GaussNewton
from unmix.search.lm_settings import SPECTROGRAM, WAVEFORM
from unmix.search.point import InitialPoint


def test_the_cost_of_a_gain_is_known():
    """A gain of 6 dB is a difference of 6 dB in every cell that is above the floor."""
    noise = torch.from_numpy(signals.fixed("noise"))[None]
    spectrogram = SpectrogramObjective(noise)
    assert float(spectrogram.cost(spectrogram.residuals(noise))) == 0
    residuals = spectrogram.residuals(noise * 10 ** (6 / 20))
    assert float((residuals - 6).abs().mean()) < 0.01
    expected = 2 * SOFT_DB**2 * (np.sqrt(1 + (6 / SOFT_DB) ** 2) - 1)
    assert float(spectrogram.cost(residuals)) == pytest.approx(expected, rel=1e-3)


def test_the_weights_have_the_slope_of_the_cost():
    spectrogram = SpectrogramObjective(torch.from_numpy(PROBE)[None])
    residuals = torch.randn(1, spectrogram.share.numel()) * 5
    residuals.requires_grad_()
    spectrogram.cost(residuals).sum().backward()
    expected = 2 * spectrogram.irls_weights(residuals[0].detach()) * residuals[0].detach()
    assert torch.allclose(residuals.grad[0], expected, atol=1e-7)


def test_the_waveform_counts_quiet_moments_as_much_as_loud_ones():
    noise = signals.fixed("noise")[:88_200].copy()
    noise[:44_100] *= 0.05
    waveform = WaveformObjective(torch.from_numpy(noise)[None])
    halves = []
    for half in (slice(0, 44_100), slice(44_100, None)):
        wet = noise.copy()
        wet[half] *= 1.01
        residuals = waveform.residuals(torch.from_numpy(wet)[None])
        halves.append(float(waveform.cost(residuals)))
    assert sum(halves) == pytest.approx(1e-4, rel=0.05)  # an error of −40 dB
    assert halves[0] == pytest.approx(halves[1], rel=0.1)
    silence = waveform.residuals(torch.zeros(1, noise.size))
    assert float(waveform.cost(silence)) == pytest.approx(1, rel=1e-3)


def test_running_means_are_means_and_take_what_there_is_at_the_ends():
    values = torch.rand(2, 500)
    for reach in (3, 700):
        found = moving_mean(values, reach)
        for n in (0, 2, 250, 499):
            expected = values[:, max(0, n - reach) : n + reach + 1].mean(1)
            assert torch.allclose(found[:, n], expected, rtol=1e-5), (reach, n)


def test_the_waveform_tells_an_order_that_the_spectrogram_hardly_does():
    """EQ and slow phaser: a descent in the right order ends at the rounding noise."""
    phaser = {"rate": 0.4, "depth": 60.0, "centre": 900.0, "feedback": 30.0, "dry_wet": 70.0}
    eq = {"gain_2": 9.0, "freq_2": 700.0, "q_2": 3.0}
    true = Chain([("eq", eq), ("phaser", phaser)])
    near = {"centre": 920.0, "dry_wet": 68.0}
    right = fitting(true, Chain([("eq", eq | {"gain_2": 8.5}), ("phaser", phaser | near)]))
    wrong = fitting(true, Chain([("phaser", phaser | near), ("eq", eq | {"gain_2": 8.5})]))
    for found in (right, wrong):
        before = found.cost
        assert 0 < found.descend_waveform(12) <= 12 and found.cost < before
    distances = [found.judge.esr_db(found.chain) for found in (right, wrong)]
    assert distances[0] < -60 and distances[0] < distances[1] - 15


def test_slopes_of_knobs_that_are_gains():
    """On a linear chain a wet gain of g dB moves every cell by g: 24 dB over the knob's range."""
    name = next(n for n in effects.names() if "output" in [k.name for k in effects.get(n).knobs])
    knob = next(k for k in effects.get(name).knobs if k.name == "output")
    chain = Chain([(name, {"drive": 0.0, "output": -12.0, "dry_wet": 100.0})])
    found = fitting(chain, chain)
    _, slopes = found.jacobian()
    row = [k.name for k in effects.get(name).knobs].index("output")
    loud = found.judge.spectrogram.target[0] > -60
    assert torch.allclose(slopes[row, loud], torch.tensor(float(knob.high - knob.low)), rtol=0.02)


def test_a_knob_that_does_nothing_has_no_slope():
    settings = {"mode_1": "low_cut", "freq_1": 150.0, "gain_2": 6.0}
    chain = Chain([("eq", settings), ("saturator", {"drive": 20.0})])
    _, slopes = fitting(chain, chain).jacobian()
    still = ~slopes.any(1)
    names = [k.name for k in effects.get("eq").knobs]
    assert still[[names.index("gain_1"), names.index("q_1")]].all()
    assert not still[[names.index("freq_1"), names.index("gain_2"), len(names)]].any()


def test_slopes_are_those_of_the_devices():
    rng = np.random.default_rng(3)
    names = ("phaser", "saturator", "ott", "reverb")
    chain = Chain([(name, effects.get(name).sample(rng)) for name in names])
    found = fitting(chain, chain)
    here, slopes = found.jacobian()
    some = [0, 7, 12, 19]
    few = found.jacobian(slopes, some)[1]
    assert torch.equal(few[1], slopes[1])
    assert torch.allclose(few[some], slopes[some], rtol=0.01, atol=1.0)
    (rate,) = found.quantised
    for k in set(range(len(found.knobs))) - {rate}:
        near = found.knobs.copy()
        near[k] += 0.001 if near[k] < 0.5 else -0.001
        wet = found._residuals(found._wet(near, found.switches))[0]
        device = (wet - here) / float(near[k] - found.knobs[k])
        assert (slopes[k] - device).norm() < 0.1 * device.norm() + 10, k


def test_the_slope_of_a_rate_that_comes_in_steps_is_that_over_many_of_them():
    chain = Chain([("phaser", {"rate": 0.07, "phase": 280.0, "depth": 60.0, "feedback": 60.0})])
    found = fitting(chain, chain)
    _, slopes = found.jacobian()
    (rate,) = found.quantised
    ends = []
    for size in (0.01, -0.01):  # four steps to either side
        knobs = found.knobs.copy()
        knobs[rate] += size
        ends.append(found._residuals(found._wet(knobs, found.switches))[0])
    device = (ends[0] - ends[1]) / 0.02
    assert (slopes[rate] - device).norm() < 0.35 * device.norm()


def test_the_waveform_is_followed_where_the_spectrogram_loses_less():
    """A slow phaser: level spectrograms show less there than the waveform."""
    true = Chain([("phaser", {"rate": 0.5, "depth": 60.0}), ("reverb", {"room_size": 40.0})])
    found = fitting(true, moved(true, "phaser", centre=1_010.0))
    cost, error = found.cost, found.error()
    assert found.descend_waveform(12) and found.cost * found.error() < 0.01 * cost * error
    found = fitting(true, true)
    found.cost = 1e-12  # whatever the waveform gains, the spectrogram loses more
    knobs = found.knobs = found.within(found.knobs + 1e-3)
    found.descend_waveform(4)
    assert found.knobs is knobs


def test_costs_of_many_controls_are_those_of_the_real_effects():
    rng = np.random.default_rng(4)
    names = ("eq", "ott", "phaser", "saturator", "reverb")
    true = Chain([(name, effects.get(name).sample(rng)) for name in names])
    found = fitting(true, true)
    controls = [(rng.random(found.knobs.size), found.switches) for _ in range(LANES + 3)]
    real = [found.cost_of(*control) for control in controls]
    near = np.array(found.costs(controls)) / real
    assert np.abs(near - 1).max() < 0.01, near
    assert found.costs([]) == []
    tried = found.best_of(4, [(np.array([u, 0.5, 0.5]), found.switches[4]) for u in (0, 0.5, 1)], 2)
    assert len(tried) == 2 and tried[0][0] < tried[1][0]
    assert tried[0][0] == found.cost_of(*tried[0][1:])


def test_the_best_initial_point_is_taken():
    true = Chain([("eq", {"gain_2": 9.0})])
    found = fitting(true, moved(true, "eq", gain_2=-9.0), true, moved(true, "eq", gain_2=0.0))
    assert found.cost < 1e-6
    assert dict(found.chain.steps)["eq"]["gain_2"] == pytest.approx(9, abs=1e-3)


def test_descent_finds_knobs_of_a_chain():
    true = Chain([("saturator", {"drive": 12.0}), ("eq", {"gain_2": 9.0, "freq_2": 700.0})])
    guess = Chain([("saturator", {"drive": 9.0}), ("eq", {"gain_2": 5.0, "freq_2": 500.0})])
    found = fitting(true, guess)
    before = found.cost
    costs = [found.cost for _ in range(15) if found.descend()]
    assert costs == sorted(costs, reverse=True) and found.cost < 1e-3 * before
    settings = dict(found.chain.steps)
    assert settings["saturator"]["drive"] == pytest.approx(12, abs=0.1)
    assert settings["eq"]["gain_2"] == pytest.approx(9, abs=0.1)
    assert settings["eq"]["freq_2"] == pytest.approx(700, rel=0.01)


def test_slopes_are_carried_along_between_measures():
    true = Chain([("eq", {"gain_2": 9.0, "gain_3": -6.0})])
    found = fitting(true, Chain([("eq", {})]))
    renders = []
    for _ in range(4):
        before = found.judge.renders
        found.descend()
        renders.append(found.judge.renders - before)
    assert renders[0] > len(effects.get("eq").knobs) and min(renders) < renders[0] / 2


def test_knobs_that_cannot_matter_are_not_measured_every_time():
    """Frequency and Q of a band without gain; the second measure leaves them alone."""
    true = Chain([("eq", {"gain_2": 9.0, "gain_3": -6.0, "q_2": 3.0})])
    found = fitting(true, Chain([("eq", {"gain_2": 5.0, "gain_3": -2.0})]))
    slopes, measured = found.jacobian, []

    def watched(known=None, knobs=None):
        measured.append(None if knobs is None else {found.effects[0].knobs[k].name for k in knobs})
        return slopes(known, knobs)

    found.jacobian = watched
    found.descend()
    found.age = SPECTROGRAM.carried_steps  # what was measured is stale
    found.descend()
    assert measured[0] is None and measured[1] >= {"gain_2", "gain_3", "q_2"}
    assert not measured[1] & {"freq_1", "q_1", "freq_4", "q_4"}


def test_nothing_moves_at_the_answer():
    true = Chain([("reverb", {"room_size": 50.0})])
    found = fitting(true, true)
    for _ in range(3):
        found.descend()
    assert found.still and not found.descend()
    assert found.chain == true or found.cost < 1e-6


def test_a_frozen_lfo_is_the_effect_without_depth():
    for name in effects.names():
        effect = effects.get(name)
        if effect.lfo:
            settings = effect.panel.complete({effect.lfo.depth: 0.0})
            position = effect.position(settings, np.zeros(1))[0]
            frozen = effect.render_frozen(PROBE, settings, position)
            assert np.abs(frozen - effect.render(PROBE, SAMPLE_RATE, settings)).max() < 1e-4


def test_frozen_renders_in_a_batch():
    positions = np.linspace(0, 1, 5)
    for name in effects.names():
        effect = effects.get(name)
        if effect.lfo:
            settings = effect.panel.complete({})
            frozen = effect.render_frozen_batch(PROBE, settings, positions)
            assert frozen.shape == (PROBE.size, LANES)
            for position, wet in zip(positions, frozen.T, strict=False):
                real = effect.render_frozen(PROBE, settings, position)
                assert np.sum((wet - real) ** 2) < 1e-6 * np.sum(real**2)


def test_an_unknown_gain_is_no_difference():
    true = Chain([("saturator", {"drive": 12.0, "output": -3.0})])
    quiet = 0.1 * true.render(PROBE, SAMPLE_RATE)
    found = GaussNewton(Judge(quiet, PROBE, True), [InitialPoint(true)], np.random.default_rng(0))
    assert found.cost < 1e-4


def test_an_empty_chain_stays_as_it_is():
    found = fitting(Chain(), Chain())
    assert found.cost == 0 and not found.descend() and not found.descend_waveform(3)
    assert found.chain == Chain()


def test_rounding_turns_no_curvature_upside_down():
    """Knobs that do nearly the same: products of float32 alone are no valid curvature."""
    found = fitting(Chain([("eq", {"gain_2": 9.0})]), Chain([("eq", {})]))
    generator = torch.Generator().manual_seed(0)
    residuals = torch.randn(found.judge.spectrogram.share.numel(), generator=generator)
    count = len(found.knobs)
    slopes = torch.arange(1.0, count + 1)[:, None] * residuals
    slopes += 1e-6 * torch.randn(slopes.shape, generator=generator)
    slopes[0] = 0  # and one that does nothing
    weight = found.judge.spectrogram.irls_weights(residuals)
    rounded = ((slopes * weight) @ slopes.T).double().numpy()
    assert np.linalg.eigvalsh(rounded)[0] < -1e-9
    curvature, _ = found.curvature(residuals, slopes)
    assert np.linalg.eigvalsh(curvature)[0] > -1e-12
    assert np.allclose(curvature, rounded, atol=1e-4 * rounded.max())
    found.settings = WAVEFORM
    step = found._bounded(curvature, np.ones(count), 1e-8)
    assert np.isfinite(step).all() and np.abs(step).max() < 0.1 + 1e-9
