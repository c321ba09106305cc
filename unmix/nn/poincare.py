"""Recurrent and linear blocks in the Poincaré ball.

Formulas: Ganea, Bécigneul, Hofmann, "Hyperbolic Neural Networks", NeurIPS 2018. Points of the ball
that are learned (biases, embeddings, hyperplane offsets) are kept as tangent vectors at the
origin, so that an ordinary optimiser moves them.
"""

from __future__ import annotations

from collections.abc import Sequence

import geoopt
import torch
from torch import nn
from torch.nn import functional as F


def _norm(x: torch.Tensor) -> torch.Tensor:
    return x.norm(dim=-1, keepdim=True).clamp_min(1e-15)


class Ball(geoopt.PoincareBall):
    """The Poincaré ball of curvature −c, its operations written out for negative curvature.

    geoopt's own serve any curvature, and at each call ask the number for its sign: a decoder makes
    hundreds of them, and on a GPU each waits for everything before it. Results are the same.

    Shape: points and tangent vectors (..., size); c is a learned scalar.
    """

    EDGE = 1 - 4e-3  # points stay inside this share of the radius, as geoopt's do

    def projx(self, x: torch.Tensor) -> torch.Tensor:
        """Points beyond the edge are moved to it."""
        norm, most = _norm(x), self.EDGE / self.c.sqrt()
        return torch.where(norm > most, x / norm * most, x)

    def expmap0(self, u: torch.Tensor) -> torch.Tensor:
        """From the tangent space at the origin into the ball."""
        scaled = self.c.sqrt() * _norm(u)
        return self.projx(torch.tanh(scaled) / scaled * u)

    def logmap0(self, x: torch.Tensor) -> torch.Tensor:
        """Back again."""
        scaled = self.c.sqrt() * _norm(x)
        return torch.atanh(scaled.clamp(max=1 - 1e-7)) / scaled * x

    def mobius_add(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """x ⊕ y (Ganea et al., equation 1)."""
        c = self.c
        x2, y2 = x.square().sum(-1, keepdim=True), y.square().sum(-1, keepdim=True)
        once = 1 + 2 * c * (x * y).sum(-1, keepdim=True)
        above = (once + c * y2) * x + (1 - c * x2) * y
        return self.projx(above / (once + c.square() * x2 * y2).clamp_min(1e-15))


class MobiusLinear(nn.Module):
    """x -> W ⊗ x (⊕ b): the linear layer of the ball (Ganea et al., definition 3.2).

    Shape: points (..., inputs) -> points (..., outputs).
    """

    def __init__(self, manifold: Ball, inputs: int, outputs: int, bias: bool = False):
        super().__init__()
        self.manifold = manifold
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.xavier_uniform_(self.weight)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return linears([self], self.manifold.logmap0(x))[..., 0, :]


def linears(layers: Sequence[MobiusLinear], tangent: torch.Tensor) -> torch.Tensor:
    """Several layers of the same size on exp₀(``tangent``), in one go, as W ⊗ x = exp₀(W log₀ x).

    Shape: (..., inputs) -> points (..., layers, outputs).
    """
    manifold = layers[0].manifold
    weight = torch.cat([layer.weight for layer in layers])
    y = manifold.expmap0(F.linear(tangent, weight).unflatten(-1, (len(layers), -1)))
    if layers[0].bias is None:
        return y
    return manifold.mobius_add(y, manifold.expmap0(torch.stack([x.bias for x in layers])))


class MobiusGRUCell(nn.Module):
    """Gated recurrent unit in the ball (Ganea et al., section 3.3).

    r, u = σ(log₀(W ⊗ h ⊕ U ⊗ x ⊕ b)),  h̃ = W_h ⊗ (r ⊙ h) ⊕ U_h ⊗ x ⊕ b_h,
    h' = h ⊕ u ⊗ (−h ⊕ h̃).

    What the inputs of a sequence add does not depend on the states: ``read`` takes them all at
    once, ``forward`` makes one step.

    Shape: x (..., inputs), points of the ball -> read (..., 3, hidden); that of one step and
    h (B, hidden) -> h' (B, hidden).
    """

    def __init__(self, manifold: Ball, inputs: int, hidden: int):
        super().__init__()
        self.manifold = manifold
        self.from_hidden = nn.ModuleList(MobiusLinear(manifold, hidden, hidden) for _ in range(3))
        self.from_input = nn.ModuleList(
            MobiusLinear(manifold, inputs, hidden, bias=True) for _ in range(3)
        )

    def read(self, x: torch.Tensor) -> torch.Tensor:
        return linears(self.from_input, self.manifold.logmap0(x))

    def forward(self, read: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        ball, tangent = self.manifold, self.manifold.logmap0(h)
        gates = ball.mobius_add(linears(self.from_hidden[:2], tangent), read[..., :2, :])
        reset, update = torch.sigmoid(ball.logmap0(gates)).unbind(-2)
        kept = linears(self.from_hidden[2:], reset * tangent)[..., 0, :]
        proposal = ball.mobius_add(kept, read[..., 2, :])
        step = ball.expmap0(update * ball.logmap0(ball.mobius_add(-h, proposal)))
        return ball.mobius_add(h, step)


class HyperplaneLogits(nn.Module):
    """Signed distances to hyperplanes of the ball as logits (Ganea et al., equation 25).

    Shape: points (..., inputs) -> (..., classes).
    """

    def __init__(self, manifold, inputs: int, classes: int):
        super().__init__()
        self.manifold = manifold
        self.normal = nn.Parameter(torch.randn(classes, inputs) / inputs**0.5)
        self.offset = nn.Parameter(torch.zeros(classes, inputs))  # tangent vector at the origin

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        c = self.manifold.c
        offset = self.manifold.expmap0(self.offset)
        shifted = self.manifold.mobius_add(-offset, x[..., None, :])  # (..., classes, inputs)
        norm = self.normal.norm(dim=-1)
        inner = 2 * c.sqrt() * (shifted * self.normal).sum(-1)
        spread = (1 - c * shifted.square().sum(-1)).clamp_min(1e-6) * norm
        factor = 2 / (1 - c * offset.square().sum(-1)).clamp_min(1e-6)  # conformal factor λ
        return factor * norm / c.sqrt() * torch.asinh(inner / spread)
