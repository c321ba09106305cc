import math

import numpy as np
import pytest
import torch

from unmix import effects, weights
from unmix.data.pairs import PairSampler
from unmix.dsp.losses import esr
from unmix.effects.eq.device import GAIN_DB, Q_RANGE
from unmix.effects.eq.proxy import EqualizerProxy

EQ = effects.get("eq")
RATE = 44_100
MODES = EqualizerProxy.MODES


def cookbook_proxy():
    """The proxy with the cookbook's coefficients set by hand: what training should find.

    In its terms: A = 10^(dB/40), so that ln A = a·gain with gain in ±1; ln q = c0 + c1·q.
    """
    proxy = EqualizerProxy(EQ.panel).eval()
    a = GAIN_DB / 40 * math.log(10)
    c1 = math.log(Q_RANGE[1] / Q_RANGE[0]) / 2
    c0 = math.log(Q_RANGE[0]) + c1
    #             constant      freq gain      q         for ln d0, ln d1, and ln(n/d) per gain
    rows = {
        "bell": [(0, 0, 0, 0), (-c0, 0, -a, -c1), 0, 2 * a, 0],
        "low_shelf": [(0, 0, -a, 0), (-c0, 0, -a / 2, -c1), 2 * a, a, 0],
        "high_shelf": [(0, 0, a, 0), (-c0, 0, a / 2, -c1), 0, a, 2 * a],
        "low_cut": [(0, 0, 0, 0), (math.log(2), 0, 0, 0), 0, 0, 0],
        "high_cut": [(0, 0, 0, 0), (math.log(2), 0, 0, 0), 0, 0, 0],
    }
    with torch.no_grad():
        weight = proxy.by_mode.weight.view(5, len(MODES), 4)
        for number, mode in enumerate(MODES):
            for output, row in enumerate(rows[mode]):
                row = row if isinstance(row, tuple) else (row, 0, 0, 0)
                weight[output, number] = torch.tensor(row)
        proxy.factors[MODES.index("low_cut")] = torch.tensor([0.0, 0.0, 1.0])
        proxy.factors[MODES.index("high_cut")] = torch.tensor([1.0, 0.0, 0.0])
    return proxy


def run(proxy, audio, settings):
    knobs, switches = EQ.to_unit(settings)
    with torch.no_grad():
        rows = [torch.from_numpy(a)[None] for a in (audio, knobs, switches)]
        return proxy(*rows)[0]


def error_db(estimate, target):
    return 10 * float(esr(estimate, torch.from_numpy(target)).log10())


def noise(samples=RATE, seed=2):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def test_the_structure_holds_the_real_device():
    """The device rounds its coefficients to single precision, which moves poles at low
    frequencies a little: a wide band at 50 Hz differs by -52 dB from its own formula."""
    rng, proxy = np.random.default_rng(4), cookbook_proxy()
    figures = []
    for _ in range(20):
        settings = EQ.sample(rng)
        target = EQ.render(noise(), RATE, settings)
        figures.append(error_db(run(proxy, noise(), settings), target))
    assert np.median(figures) < -75 and max(figures) < -45


@pytest.mark.parametrize("gain", [-15, 15])
@pytest.mark.parametrize("seconds", [0.3, 4])
def test_long_ringing_does_not_wrap_round(gain, seconds):
    """30 Hz, q 10: the section rings for seconds; a click near the end must not be heard before."""
    settings = {"freq_1": 30, "gain_1": gain, "q_1": 10}
    audio = np.zeros(round(seconds * RATE), np.float32)
    audio[-4_000] = 1
    wet = run(cookbook_proxy(), audio, settings)
    assert error_db(wet, EQ.render(audio, RATE, settings)) < -50
    assert wet[:-4_001].abs().max() < 1e-4


def test_gain_and_q_do_nothing_to_a_cut():
    proxy = weights.load_proxy("eq")
    cut = {"mode_1": "low_cut", "mode_4": "high_cut"}
    one = run(proxy, noise(), cut | {"gain_1": -9, "q_1": 0.4, "gain_4": 3, "q_4": 5})
    other = run(proxy, noise(), cut | {"gain_1": 12, "q_1": 8, "gain_4": -15, "q_4": 1})
    torch.testing.assert_close(one, other)


def test_bundled_responses_in_decibels():
    """The measured response of random settings, 30 Hz to 18 kHz, where it is not far down:
    the mean error over the logarithm of frequency."""
    rng, proxy = np.random.default_rng(6), weights.load_proxy("eq")
    impulse = np.zeros(2 * RATE, np.float32)
    impulse[0] = 1
    for _ in range(10):
        settings = EQ.sample(rng)
        estimate = np.abs(np.fft.rfft(run(proxy, impulse, settings).numpy()))
        target = np.abs(np.fft.rfft(EQ.render(impulse, RATE, settings)))
        freq = np.arange(target.size) * RATE / impulse.size
        heard = (freq > 30) & (freq < 18_000) & (target > 0.03)
        deviation = np.abs(20 * np.log10(estimate[heard] / target[heard]))
        assert np.average(deviation, weights=1 / freq[heard]) < 0.3, settings


def test_bundled_weights_on_held_out_pairs():
    proxy = weights.load_proxy("eq")
    sampler = PairSampler("eq", 987_001, 1.0)
    figures = []
    for i in range(24):
        pair = sampler.item(i)
        knobs, switches = (torch.from_numpy(pair[k])[None] for k in ("knobs", "switches"))
        with torch.no_grad():
            wet = proxy(torch.from_numpy(pair["dry"])[None], knobs, switches)[0]
        figures.append(error_db(wet, pair["wet"]))
    assert np.mean(figures) < -45
