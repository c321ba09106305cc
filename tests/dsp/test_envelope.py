"""The parallel attack/release follower against the plain recursion, and its gradients."""

import numpy as np
import pytest
import torch

from unmix.audio import synthetic
from unmix.dsp.envelope import attack_release, linear_scan


def plain(power, attack, release):
    """The recursion sample by sample, in double precision."""
    envelope, out = 0.0, []
    for p in power.tolist():
        envelope += (attack if p > envelope else release) * (p - envelope)
        out.append(envelope)
    return np.array(out)


def db(power):
    return 10 * np.log10(np.asarray(power, np.float64) + 1e-12)


@pytest.mark.parametrize("samples", [1, 7, 16, 257, 20_000])
@pytest.mark.parametrize("rates", [(0.5, 0.02), (0.05, 0.002), (0.005, 0.0002)])
def test_follows_the_plain_recursion_within_a_hundredth_of_a_db(samples, rates):
    rng = np.random.default_rng(samples)
    power = np.stack([synthetic.synthetic(rng, samples) ** 2, rng.random(samples) ** 4])
    got = attack_release(torch.from_numpy(power), *(torch.full((2,), rate) for rate in rates))
    want = np.stack([plain(row, *rates) for row in power])
    assert np.abs(db(got) - db(want)).max() < 0.01


def test_gradients_agree_with_autograd_through_the_plain_recursion():
    torch.manual_seed(0)
    power = (torch.rand(2, 100) ** 3).requires_grad_()
    attack = torch.tensor([0.3, 0.1], requires_grad=True)
    release = torch.tensor([0.01, 0.05], requires_grad=True)
    weights = torch.randn(2, 100)
    envelope, loss = torch.zeros(2), 0.0
    for n in range(100):
        rate = torch.where(power[:, n] > envelope, attack, release)
        envelope = envelope + rate * (power[:, n] - envelope)
        loss = loss + (weights[:, n] * envelope).sum()
    arguments = (power, attack, release)
    want = torch.autograd.grad(loss, arguments)
    got = torch.autograd.grad((weights * attack_release(*arguments)).sum(), arguments)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_scan_is_the_recursion():
    decay, drive = torch.rand(3, 13), torch.randn(3, 13)
    x, want = torch.zeros(3), []
    for j in range(13):
        x = decay[:, j] * x + drive[:, j]
        want.append(x)
    torch.testing.assert_close(linear_scan(decay, drive), torch.stack(want, 1))
