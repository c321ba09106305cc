"""The attack/release one-pole follower as a parallel, differentiable operation.

    e[n] = e[n−1] + d · (p[n] − e[n−1]),   d = attack where p[n] > e[n−1], else release,   e[−1] = 0

Once every choice between attack and release is known the recursion is linear, and a linear
recursion is an associative scan (Blelloch, "Prefix Sums and Their Applications", 1990). With
attack ≥ release each step is the larger of two rising affine maps, so choosing, solving and
choosing again is policy iteration (Howard 1960). It converges quickly, because the follower
forgets its past. The first guess is the same follower at 1/STEPS of the rate.

The signal is cut into frames of STEPS samples: the steps of one frame run one after the other, all
frames of all rows side by side, and a scan joins the frames.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

STEPS = 16
ROUNDS = 4  # leaves 0.0015 dB of the worst envelope over music, noise and rests; 5: 0.0001 dB


def linear_scan(decay: torch.Tensor, drive: torch.Tensor) -> torch.Tensor:
    """x[j] = decay[j] · x[j−1] + drive[j] from x[−1] = 0, along the last dimension, by doubling."""
    a, x = decay.clone(), drive.clone()
    stride = 1
    while stride < x.shape[-1]:
        x[..., stride:] += a[..., stride:] * x[..., :-stride].clone()
        a[..., stride:] *= a[..., :-stride].clone()
        stride *= 2
    return x


def _shifted(frames: torch.Tensor) -> torch.Tensor:
    """The previous frame's value in each frame, 0 in the first."""
    return F.pad(frames[..., :-1], (1, 0))


def _in_frames(signal: torch.Tensor) -> torch.Tensor:
    """(rows, samples) -> (STEPS, rows, frames), silence behind the end."""
    padded = F.pad(signal, (0, -signal.shape[-1] % STEPS))
    return padded.unflatten(-1, (-1, STEPS)).permute(2, 0, 1).contiguous()


def _from_frames(frames: torch.Tensor, samples: int) -> torch.Tensor:
    return frames.permute(1, 2, 0).flatten(1)[:, :samples]


def _solve(p, attack, release, start):
    """Frames p (STEPS, rows, frames), a guess of each frame's start -> the envelope there."""
    for _ in range(ROUNDS):
        e, decay = start, 1.0
        for step in p:
            rate = torch.where(step > e, attack, release)
            e = torch.lerp(e, step, rate)
            decay = decay * (1 - rate)
        start = _shifted(linear_scan(decay, e - decay * start))
    return start


def _frame_starts(p, attack, release):
    """Envelope (rows, frames) at the beginning of each frame: guessed from the frames' means."""
    mean = p.mean(0)
    if mean.shape[-1] <= STEPS:
        return _solve(p, attack, release, _shifted(mean))
    coarse = _in_frames(mean)
    rates = [1 - (1 - rate) ** STEPS for rate in (attack, release)]
    e = _frame_starts(coarse, *rates)
    guess = torch.empty_like(coarse)
    for i, step in enumerate(coarse):
        guess[i] = e
        e = torch.lerp(e, step, torch.where(step > e, *rates))
    return _solve(p, attack, release, _from_frames(guess, mean.shape[-1]))


class _AttackRelease(torch.autograd.Function):
    @staticmethod
    def forward(ctx, power, attack, release):
        attack, release = attack[:, None], release[:, None]
        p = _in_frames(power)
        e = _frame_starts(p, attack, release)
        before, rates = torch.empty_like(p), torch.empty_like(p)
        for i, step in enumerate(p):
            before[i] = e
            rates[i] = torch.where(step > e, attack, release)
            e = torch.lerp(e, step, rates[i])
        ctx.save_for_backward(p - before, rates)
        return _from_frames(torch.cat([before[1:], e[None]]), power.shape[-1])

    @staticmethod
    def backward(ctx, grad):
        """Adjoint: λ[n] = grad[n] + (1 − d[n+1]) · λ[n+1], the same kind of scan, backwards."""
        rise, rates = ctx.saved_tensors
        g = _in_frames(grad)
        carry, decay = torch.zeros_like(g[0]), 1.0
        for i in reversed(range(STEPS)):
            kept = 1 - rates[i]
            carry = kept * (g[i] + carry)
            decay = decay * kept
        carry = _shifted(linear_scan(decay.flip(-1), carry.flip(-1))).flip(-1)
        adjoint = torch.empty_like(g)
        for i in reversed(range(STEPS)):
            adjoint[i] = g[i] + carry
            carry = (1 - rates[i]) * adjoint[i]
        to_rate = adjoint * rise
        attacking = rise > 0
        return (
            _from_frames(adjoint * rates, grad.shape[-1]),
            (to_rate * attacking).sum((0, 2)),
            (to_rate * ~attacking).sum((0, 2)),
        )


def attack_release(
    power: torch.Tensor, attack: torch.Tensor, release: torch.Tensor
) -> torch.Tensor:
    """Envelope of ``power`` by a follower that rises at one rate and falls at another.

    Args:
        power: (rows, samples) ≥ 0.
        attack, release: (rows,), the share of the way gone in one sample, 1 − exp(−1/τ), in 0…1;
            attack ≥ release.

    Returns:
        (rows, samples) float32, differentiable once in all three arguments.
    """
    return _AttackRelease.apply(power.float(), attack.float(), release.float())
