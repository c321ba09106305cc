import math

import pytest
import torch

from unmix.dsp.losses import FFT_SIZES, esr, esr_db, magnitudes, mss


def noise(batch=2, samples=16_384, seed=0):
    return 0.3 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))


def test_esr_by_hand():
    # Σ(y − ŷ)² = 1 + 4 = 5, Σy² = 9 + 16 = 25
    assert esr(torch.tensor([2.0, 6.0]), torch.tensor([3.0, 4.0])).item() == pytest.approx(0.2)


def test_esr_of_a_scaled_signal_and_of_silence():
    y = noise()
    torch.testing.assert_close(esr(0.9 * y, y), torch.full((2,), 0.01))  # −20 dB
    torch.testing.assert_close(esr(torch.zeros_like(y), y), torch.ones(2))
    torch.testing.assert_close(esr(-y, y), torch.full((2,), 4.0))  # sees polarity
    assert esr(torch.zeros(4), torch.zeros(4)) == 0


def test_esr_in_decibels_has_a_floor():
    y = noise(batch=1)
    assert esr_db(0.9 * y, y) == pytest.approx(-20, abs=1e-3)
    assert esr_db(y[0], y[0]) == pytest.approx(-120) and esr_db(y, y, -150) == pytest.approx(-150)


def test_mss_of_equal_signals_is_zero():
    y = noise()
    assert mss(y, y).tolist() == [0, 0]


def test_mss_of_half_the_signal_by_hand():
    # every magnitude halved: spectral convergence 0.5, log distance ln 2, at each scale; the floor
    # under the logarithm takes a little away in the quietest bins
    torch.testing.assert_close(
        mss(0.5 * noise(), noise()), torch.full((2,), 0.5 + math.log(2)), atol=0.005, rtol=0
    )
    # twice as loud: convergence 1, the same log distance
    torch.testing.assert_close(
        mss(2 * noise(), noise()), torch.full((2,), 1 + math.log(2)), atol=0.005, rtol=0
    )


def test_mss_of_silence_against_a_signal_has_convergence_one():
    y = noise(1)
    log_distance = sum(
        torch.log((magnitudes(y, size) + 1e-5) / (1e-7 + 1e-5)).mean() for size in FFT_SIZES
    )
    expected = 1 + log_distance / len(FFT_SIZES)
    assert mss(torch.zeros_like(y), y).item() == pytest.approx(expected.item(), rel=1e-3)


def test_mss_is_blind_to_polarity_but_not_to_colour():
    y = noise()
    assert mss(-y, y).tolist() == [0, 0]
    dull = torch.nn.functional.avg_pool1d(y[:, None], 5, 1, 2)[:, 0]
    assert (mss(dull, y) > 0.3).all()


def test_one_target_serves_a_batch():
    estimates, target = noise(3, seed=1), noise(1, seed=2)
    together = mss(estimates, target)
    apart = torch.cat([mss(row[None], target) for row in estimates])
    torch.testing.assert_close(together, apart)
    assert together.shape == (3,)


@pytest.mark.parametrize("size", FFT_SIZES)
def test_a_full_scale_sine_reads_one_half_at_every_size(size):
    n = torch.arange(8 * size)
    sine = torch.sin(2 * math.pi * n / 8)[None]  # falls on a bin of every size
    middle = magnitudes(sine, size)[0, size // 8, 8:-8]
    torch.testing.assert_close(middle, torch.full_like(middle, 0.5), atol=1e-4, rtol=0)


@pytest.mark.parametrize("loss", [esr, mss])
@pytest.mark.parametrize("target", [torch.zeros(2, 5_000), noise(2, 5_000)])
def test_gradient_is_finite_at_silence(loss, target):
    estimate = torch.zeros(2, 5_000, requires_grad=True)
    loss(estimate, target).sum().backward()
    assert torch.isfinite(estimate.grad).all()


@pytest.mark.parametrize("loss", [esr, mss])
def test_gradient_points_down_to_the_target(loss):
    y = noise(1, 5_000)
    gain = torch.tensor(0.5, requires_grad=True)
    loss(gain * y, y).sum().backward()
    assert gain.grad < 0  # louder is better
    at_target = torch.tensor(1.0, requires_grad=True)
    loss(at_target * y, y).sum().backward()
    assert torch.isfinite(at_target.grad)


@pytest.mark.parametrize("samples", [1, 10, 100])
def test_mss_of_signals_shorter_than_the_largest_window(samples):
    y = noise(1, samples)
    assert mss(y, y).item() == 0
    assert mss(0.5 * y, y).item() > 0.5
