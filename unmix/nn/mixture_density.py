"""Mixture density over numbers in 0…1, correlated within each component; angles included.

Bishop, "Mixture Density Networks", 1994. A number u in 0…1 is modelled as v = Φ⁻¹(u), so that a
uniform prior is a standard normal and every sample falls inside the range; an angle as a von Mises
variable. Each component has a full covariance over the non-angles (Cholesky of its precision).
"""

from __future__ import annotations

import math

import torch
from torch import nn

EDGE = 1e-3  # knobs nearer to an end than this count as this near
LOG_SCALE_RANGE = (-3.0, 6.0)  # log of the precision's diagonal: keeps early training sane
MAX_CONCENTRATION = 500.0


def to_normal(u: torch.Tensor) -> torch.Tensor:
    """0…1 -> Φ⁻¹(u), clipped EDGE away from both ends."""
    return math.sqrt(2) * torch.erfinv(2 * u.clamp(EDGE, 1 - EDGE) - 1)


def from_normal(v: torch.Tensor) -> torch.Tensor:
    """Φ(v): inverse of ``to_normal``."""
    return 0.5 * (1 + torch.erf(v / math.sqrt(2)))


def short_way(turns: torch.Tensor) -> torch.Tensor:
    """Differences of angles, in turns, the short way round: −0.5…0.5."""
    return (turns + 0.5) % 1.0 - 0.5


def split(u: torch.Tensor, circular) -> tuple[torch.Tensor, torch.Tensor]:
    """(…, K) -> the numbers (…, D) and the angles (…, A) among them; ``circular`` (K,) says which
    are angles. Column by column: a mask on a GPU would have to be waited for."""

    def those(wanted: bool) -> torch.Tensor:
        columns = [x for x, angle in zip(u.unbind(-1), circular, strict=True) if angle == wanted]
        return torch.stack(columns, -1) if columns else u[..., :0]

    return those(False), those(True)


class Mixture:
    """A batch of mixtures; made by MixtureDensity.

    Attributes:
        log_weights (B, M); mean (B, M, D) in normal space; precision (B, M, D, D) lower
        triangular; angle, concentration (B, M, A).
        circular: K bools, which of the K numbers are angles (K = D + A).
    """

    def __init__(self, log_weights, mean, precision, angle, concentration, circular):
        self.log_weights, self.mean, self.precision = log_weights, mean, precision
        self.angle, self.concentration = angle, concentration
        self.circular = tuple(map(bool, circular))

    def _fields(self) -> tuple[torch.Tensor, ...]:
        return self.log_weights, self.mean, self.precision, self.angle, self.concentration

    @staticmethod
    def joined(parts: list[Mixture]) -> Mixture:
        """One batch of several, whose numbers and components are of a kind."""
        fields = zip(*(part._fields() for part in parts), strict=True)
        return Mixture(*map(torch.cat, fields), parts[0].circular)

    def parts(self) -> list[Mixture]:
        """Each of the batch, as a batch of one."""
        fields = zip(*(field.split(1) for field in self._fields()), strict=True)
        return [Mixture(*field, self.circular) for field in fields]

    def moved(self, start: torch.Tensor, end: torch.Tensor, spread: float = 1.0) -> Mixture:
        """All of it moved, so that what lay at ``start`` (B, K) lies at ``end`` (B, K), and
        ``spread`` times as wide about it. Numbers in normal space, angles in turns."""
        log_weights, mean, precision, angle, concentration = self._fields()
        start, start_turn = split(start[:, None], self.circular)
        end, end_turn = split(end[:, None], self.circular)
        mean = end + spread * (mean - start)
        angle = 2 * math.pi * (end_turn + spread * short_way(angle / (2 * math.pi) - start_turn))
        precision, concentration = precision / spread, concentration / spread**2
        return Mixture(log_weights, mean, precision, angle, concentration, self.circular)

    def component_log_prob(self, u: torch.Tensor) -> torch.Tensor:
        """(B, K) in 0…1 -> (B, M), densities in normal space and angle (radians)."""
        numbers, angles = split(u, self.circular)
        v = to_normal(numbers)[:, None]
        z = torch.einsum("bmij,bmi->bmj", self.precision, v - self.mean)
        diagonal = self.precision.diagonal(dim1=-2, dim2=-1)
        log_prob = diagonal.log().sum(-1) - 0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
        angle = 2 * math.pi * angles[:, None]
        k = self.concentration
        log_bessel = torch.log(torch.special.i0e(k)) + k
        return log_prob + (
            k * torch.cos(angle - self.angle) - log_bessel - math.log(2 * math.pi)
        ).sum(-1)

    def log_prob(self, u: torch.Tensor) -> torch.Tensor:
        """(B, K) in 0…1 -> (B,)."""
        return torch.logsumexp(self.log_weights + self.component_log_prob(u), -1)

    def _join(self, v: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        """Normal-space numbers (..., D) and angles (..., A) -> (..., K) in 0…1."""
        numbers = iter(from_normal(v).unbind(-1))
        angles = iter(((angle / (2 * math.pi)) % 1.0).unbind(-1))
        columns = [next(angles if is_angle else numbers) for is_angle in self.circular]
        return torch.stack(columns, -1) if columns else v

    def centre(self) -> torch.Tensor:
        """Centre of the heaviest component: (B, K) in 0…1, differentiable."""
        best = self.log_weights.argmax(-1)
        rows = torch.arange(len(best), device=best.device)
        return self._join(self.mean[rows, best], self.angle[rows, best])

    def median(self) -> torch.Tensor:
        """Median of each number, and of each angle the mean direction, over all components:
        (B, K) in 0…1. No other guess of a number has a smaller expected error."""
        weights = self.log_weights.exp()[..., None]
        eye = torch.eye(self.mean.shape[-1], device=weights.device).expand_as(self.precision)
        inverse = torch.linalg.solve_triangular(self.precision, eye, upper=False)
        spread = inverse.square().sum(-2).sqrt()  # the covariance is P⁻ᵀ P⁻¹
        edge = to_normal(torch.ones_like(self.mean[:, 0]))
        low, high = -edge, edge
        for _ in range(24):  # bisection of the cumulative distribution
            middle = (low + high) / 2
            below = (weights * from_normal((middle[:, None] - self.mean) / spread)).sum(1) < 0.5
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        k = self.concentration
        length = weights * torch.special.i1e(k) / torch.special.i0e(k)
        y, x = ((length * f(self.angle)).sum(1) for f in (torch.sin, torch.cos))
        return self._join((low + high) / 2, torch.atan2(y, x))

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """(count, B, K) in 0…1."""
        weights = self.log_weights.exp()
        chosen = torch.multinomial(weights, count, replacement=True, generator=generator).T
        rows = torch.arange(len(weights), device=weights.device).expand(count, -1)
        noise = torch.randn(
            *chosen.shape, self.mean.shape[-1], generator=generator, device=weights.device
        )
        # z = Pᵀ(v − μ), so that v = μ + P⁻ᵀ z
        upper = self.precision[rows, chosen].transpose(-1, -2)
        step = torch.linalg.solve_triangular(upper, noise[..., None], upper=True)[..., 0]
        k = self.concentration[rows, chosen]
        # von Mises draws as wrapped normals of the same resultant length I1(k)/I0(k)
        spread = torch.sqrt(-2 * torch.log(torch.special.i1e(k) / torch.special.i0e(k)))
        turn = spread * torch.randn(*k.shape, generator=generator, device=weights.device)
        return self._join(self.mean[rows, chosen] + step, self.angle[rows, chosen] + turn)


class MixtureDensity(nn.Module):
    """Linear head that gives a Mixture over K = len(circular) numbers.

    Args:
        inputs: size of the context vector.
        circular: which of the K numbers are angles.
        components: M.

    Shape: context (B, inputs) and, to add to what the head makes of it, shift (B, outputs of
    ``project``) -> Mixture of batch B. Runs in float32 under autocast.
    """

    def __init__(self, inputs: int, circular, components: int):
        super().__init__()
        self.register_buffer("circular", torch.as_tensor(circular, dtype=torch.bool))  # in files
        self.is_angle = tuple(self.circular.tolist())
        self.components = components
        self.angles = sum(self.is_angle)
        self.numbers = len(self.is_angle) - self.angles
        d = self.numbers
        self.parts = (1, d, d, d * (d - 1) // 2, 2 * self.angles)
        self.project = nn.Linear(inputs, components * sum(self.parts))
        with torch.no_grad():  # components start apart, near the uniform prior
            self.project.weight.mul_(0.1)
            bias = self.project.bias.view(components, -1)
            bias.zero_()
            bias[:, 1 : 1 + d].normal_(std=0.7)

    def forward(self, context: torch.Tensor, shift: torch.Tensor | float = 0.0) -> Mixture:
        with torch.autocast(context.device.type, enabled=False):
            raw = (self.project(context.float()) + shift).unflatten(-1, (self.components, -1))
            weight, mean, scale, lower, vector = raw.split(self.parts, -1)
            d = self.numbers
            precision = torch.diag_embed(scale.clamp(*LOG_SCALE_RANGE).exp())
            rows, columns = torch.tril_indices(d, d, -1, device=raw.device)
            precision = precision.clone()
            precision[..., rows, columns] = lower
            x, y = vector.unflatten(-1, (self.angles, 2)).unbind(-1)
            length = torch.sqrt(x.square() + y.square() + 1e-6)
            concentration = length.clamp(max=MAX_CONCENTRATION)
            log_weights = torch.log_softmax(weight[..., 0], -1)
            return Mixture(
                log_weights, mean, precision, torch.atan2(y, x), concentration, self.is_angle
            )
