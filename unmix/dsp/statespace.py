"""Linear filters that move: a state-space system whose matrices change from block to block.

    s[n+1] = A s[n] + B x[n],    y[n] = C s[n] + D x[n]

Within a block of N samples the matrices stand still, so a whole block is one step of the same kind:
s' = Aᴺ s + K x,  y = O s + h ∗ x  with O = [C; CA; CA²; …], K = [Aᴺ⁻¹B, …, AB, B] and h the impulse
response. The states at the block borders come from a parallel scan over the affine maps (Blelloch,
"Prefix sums and their applications", 1990): log₂(blocks) batched products instead of a loop.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F


class BlockOperators(NamedTuple):
    """What one block of N samples does to S states: see the module's formulas."""

    step: torch.Tensor  # (..., S, S): Aᴺ
    control: torch.Tensor  # (..., S, N): K
    observe: torch.Tensor  # (..., N, S): O
    response: torch.Tensor  # (..., N): h

    @classmethod
    def build(cls, a, b, c, d, block: int) -> BlockOperators:
        """Operators of ``block`` samples, a power of two, by repeated doubling.

        Shape: a (..., S, S), b (..., S), c (..., S), d (...).
        """
        if block < 1 or block & (block - 1):
            raise ValueError(f"the block must be a power of two, not {block}")
        step, control, observe = a, b[..., None], c[..., None, :]
        while control.shape[-1] < block:
            observe = torch.cat([observe, observe @ step], -2)
            control = torch.cat([step @ control, control], -1)
            step = step @ step
        tail = (observe[..., :-1, :] @ b[..., None])[..., 0]
        return cls(step, control, observe, torch.cat([d[..., None], tail], -1))

    def pick(self, place: torch.Tensor) -> BlockOperators:
        """Read the operators, tabulated on an even grid, at places between the grid's points.

        Linear interpolation: a mean of stable steps, hence as stable as they are. Differentiable in
        the table and in ``place``.

        Args:
            place: (B, J) in 0…1, from the first grid point to the last. The table is (B, G, …).

        Returns:
            operators (B, J, …).
        """
        batch, grid = self.response.shape[:2]
        scaled = place * (grid - 1)
        low = scaled.detach().floor().clamp(0, grid - 2)
        weight = (scaled - low).flatten()
        weights = torch.stack([1 - weight, weight], -1)
        row = low.long() + grid * torch.arange(batch, device=place.device)[:, None]
        rows = torch.stack([row, row + 1], -1).flatten(0, 1)  # (B·J, 2)

        def read(table):
            table, sizes = table.flatten(0, 1).flatten(1), table.shape[2:]  # (B·G, M)
            found = F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)
            return found.view(*place.shape, *sizes)

        return BlockOperators(*(read(table) for table in self))


def _states(step: torch.Tensor, push: torch.Tensor) -> torch.Tensor:
    """States before each block, from rest: s[0] = 0, s[j+1] = step[j] s[j] + push[j].

    Pairs of neighbours are merged into one block twice as long until one is left.

    Shape: step (B, J, S, S), push (B, J, S) -> (B, J, S).
    """
    blocks = push.shape[1]
    if blocks == 1:
        return torch.zeros_like(push)
    if blocks % 2:
        step, push = F.pad(step, (0, 0, 0, 0, 0, 1)), F.pad(push, (0, 0, 0, 1))
    first, second = step[:, 0::2], step[:, 1::2]
    merged = second @ torch.cat([first, push[:, 0::2, :, None]], -1)  # (B, J/2, S, S + 1)
    even = _states(merged[..., :-1], merged[..., -1] + push[:, 1::2])
    odd = (first @ even[..., None])[..., 0] + push[:, 0::2]
    return torch.stack([even, odd], 2).flatten(1, 2)[:, :blocks]


def filter_blocks(audio: torch.Tensor, operators: BlockOperators) -> torch.Tensor:
    """Run audio, from rest, through a system that changes from block to block.

    Args:
        audio: (B, T) with (J − 1)·N < T ≤ J·N.
        operators: (B, J, …) with blocks of N samples.

    Returns:
        (B, T). Differentiable in both.
    """
    blocks, size = operators.response.shape[1:]
    samples = audio.shape[-1]
    x = F.pad(audio, (0, blocks * size - samples)).unflatten(-1, (blocks, size))  # (B, J, N)
    push = (operators.control * x[..., None, :]).sum(-1)
    state = _states(operators.step, push)
    spectrum = torch.fft.rfft(x, 2 * size) * torch.fft.rfft(operators.response, 2 * size)
    inside = torch.fft.irfft(spectrum, 2 * size)[..., :size]
    y = inside + (operators.observe @ state[..., None])[..., 0]
    return y.flatten(1)[:, :samples]
