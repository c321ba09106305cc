"""What wave-shaped copies explain, where that is known."""

import numpy as np
import pytest
import torch

from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.features import maps, nonlinear_coherence, spectra

NOISE = torch.from_numpy(signals.fixed("noise"))
FORWARD = len(nonlinear_coherence.FORWARD)


def long_spectra(*sounds):
    return [spectra.Spectra(signal.float()).long for signal in sounds]


def shares(recording, source=NOISE):
    """{what explains: (BANDS,)} as shares."""
    found = maps.nonlinear_coherence(spectra.Spectra(recording), spectra.Spectra(source))
    rows = nonlinear_coherence.TYPICAL * np.exp(found) - nonlinear_coherence.FLOOR
    names = [
        *(f"forward {i}" for i in range(FORWARD)),
        "no source",
        "cube",
        "ninth",
        "no recording",
    ]
    return dict(zip(names, rows, strict=True))


def filtered(audio):
    """A mild high cut and an echo inside the window."""
    smooth = audio + 0.5 * torch.roll(audio, 1)
    return smooth + 0.5 * torch.roll(smooth, 40)


def test_shares_are_those_of_independent_parts():
    generator = torch.Generator().manual_seed(0)
    first, second, third = torch.randn(3, spectra.WINDOW, generator=generator)
    sums = nonlinear_coherence.products(
        *long_spectra(first, second, first + 2 * second + 3 * third)
    )
    explained, rest = (share[50:].mean() for share in nonlinear_coherence.shares(sums))
    assert explained == pytest.approx(4 / 14, abs=0.03)
    assert rest == pytest.approx(9 / 14, abs=0.05)  # few frames: a little is explained by chance


def test_products_are_sums_over_time():
    a, b = long_spectra(NOISE[:20_000], NOISE[20_000:40_000])
    sums = nonlinear_coherence.products(a, b)
    assert np.allclose(sums[0, 1], (a * b.conj()).sum(0), rtol=1e-3, atol=1e-9)
    assert np.array_equal(sums[1, 0], sums[0, 1].conj())


def test_filters_leave_nothing_to_explain():
    found = shares(filtered(NOISE))
    assert found["no source"][20:].max() < 0.01
    for name in ("forward 0", "forward 1", "forward 2", "cube", "ninth"):
        assert found[name].max() < 0.01, name


def test_a_shaper_at_the_front_shows_forward_and_one_at_the_end_backward():
    front, end = filtered(torch.tanh(30 * NOISE)), torch.tanh(3 * filtered(NOISE))
    of_front, of_end = shares(front), shares(end)
    assert of_front["no source"][20:].max() < 0.02  # its own curve is one of the copies
    assert of_front["forward 0"].mean() + of_front["forward 1"].mean() > 0.1
    assert of_end["cube"].mean() + of_end["ninth"].mean() > 3 * of_end["no recording"].mean()
    assert of_front["no recording"].mean() > 3 * of_end["no recording"].mean()


def test_gain_of_the_recording_changes_nothing_and_that_of_the_source_does():
    wet = torch.tanh(5 * NOISE)
    loud = maps.nonlinear_coherence(spectra.Spectra(wet), spectra.Spectra(NOISE))
    quiet = maps.nonlinear_coherence(spectra.Spectra(0.01 * wet), spectra.Spectra(NOISE))
    assert np.allclose(loud, quiet, atol=1e-2)
    assert not np.allclose(
        shares(wet, 0.1 * NOISE)["forward 0"], shares(wet)["forward 0"], atol=0.02
    )


def test_silence_is_explained_by_nothing():
    silence = torch.zeros(spectra.WINDOW)
    t = torch.arange(spectra.WINDOW) / SAMPLE_RATE
    for wet, dry in ((silence, NOISE), (NOISE, silence), (silence, silence)):
        found = maps.nonlinear_coherence(spectra.Spectra(wet), spectra.Spectra(dry))
        assert (
            found.shape == (nonlinear_coherence.SHAPING, spectra.BANDS)
            and found.dtype == np.float32
        )
        assert np.isfinite(found).all()
    tone = torch.sin(2 * np.pi * 440 * t)
    assert np.isfinite(
        maps.nonlinear_coherence(spectra.Spectra(tone), spectra.Spectra(NOISE))
    ).all()
