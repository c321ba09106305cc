"""Recurrent and linear blocks in the Poincaré ball.

Formulas: Ganea, Bécigneul, Hofmann, "Hyperbolic Neural Networks", NeurIPS 2018. Points of the ball
that are learned (biases, embeddings, hyperplane offsets) are kept as tangent vectors at the
origin, so that an ordinary optimiser moves them.
"""

from __future__ import annotations

import geoopt
import torch
from torch import nn


def ball(curvature: float = 1.0) -> geoopt.PoincareBall:
    """A Poincaré ball of curvature −c whose c is learned."""
    return geoopt.PoincareBall(c=curvature, learnable=True)


class MobiusLinear(nn.Module):
    """x -> W ⊗ x (⊕ b): the linear layer of the ball (Ganea et al., definition 3.2).

    Shape: points (..., inputs) -> points (..., outputs).
    """

    def __init__(self, manifold, inputs: int, outputs: int, bias: bool = False):
        super().__init__()
        self.manifold = manifold
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.xavier_uniform_(self.weight)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.manifold.mobius_matvec(self.weight, x)
        if self.bias is not None:
            y = self.manifold.mobius_add(y, self.manifold.expmap0(self.bias))
        return self.manifold.projx(y)


class MobiusGRUCell(nn.Module):
    """Gated recurrent unit in the ball (Ganea et al., section 3.3).

    r, u = σ(log₀(W ⊗ h ⊕ U ⊗ x ⊕ b)),  h̃ = W_h ⊗ (r ⊙ h) ⊕ U_h ⊗ x ⊕ b_h,
    h' = h ⊕ u ⊗ (−h ⊕ h̃).

    Shape: x (B, inputs) and h (B, hidden), points of the ball -> h' (B, hidden).
    """

    def __init__(self, manifold, inputs: int, hidden: int):
        super().__init__()
        self.manifold = manifold
        self.from_hidden = nn.ModuleList(MobiusLinear(manifold, hidden, hidden) for _ in range(3))
        self.from_input = nn.ModuleList(
            MobiusLinear(manifold, inputs, hidden, bias=True) for _ in range(3)
        )

    def _mix(self, i: int, h, x):
        return self.manifold.mobius_add(self.from_hidden[i](h), self.from_input[i](x))

    def _scale(self, gate, point):
        """gate ⊙ point through the tangent space at the origin."""
        return self.manifold.expmap0(gate * self.manifold.logmap0(point))

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        reset = torch.sigmoid(self.manifold.logmap0(self._mix(0, h, x)))
        update = torch.sigmoid(self.manifold.logmap0(self._mix(1, h, x)))
        proposal = self._mix(2, self._scale(reset, h), x)
        step = self.manifold.mobius_add(-h, proposal)
        return self.manifold.projx(self.manifold.mobius_add(h, self._scale(update, step)))


class HyperplaneLogits(nn.Module):
    """Signed distances to hyperplanes of the ball as logits (Ganea et al., equation 25).

    Shape: points (B, inputs) -> (B, classes).
    """

    def __init__(self, manifold, inputs: int, classes: int):
        super().__init__()
        self.manifold = manifold
        self.normal = nn.Parameter(torch.randn(classes, inputs) / inputs**0.5)
        self.offset = nn.Parameter(torch.zeros(classes, inputs))  # tangent vector at the origin

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        c = self.manifold.c
        offset = self.manifold.expmap0(self.offset)
        shifted = self.manifold.mobius_add(-offset, x[:, None])  # (B, classes, inputs)
        norm = self.normal.norm(dim=-1)
        inner = 2 * c.sqrt() * (shifted * self.normal).sum(-1)
        spread = (1 - c * shifted.square().sum(-1)).clamp_min(1e-6) * norm
        factor = 2 / (1 - c * offset.square().sum(-1)).clamp_min(1e-6)  # conformal factor λ
        return factor * norm / c.sqrt() * torch.asinh(inner / spread)
