"""Gradients of proxies with respect to knobs against central differences of the real effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from unmix.audio.io import SAMPLE_RATE
from unmix.data.pairs import PairSampler
from unmix.dsp import losses

MOVE = (0.02, 0.2)  # how far from the target's knobs the gradient is taken
DIFFERENCE = 0.005  # half the step of the central differences, in 0…1
AT_REST = 1e-3  # a knob whose slope is below this share of the steepest has no sign to be right in


def batch_of_one(*arrays: np.ndarray) -> list[torch.Tensor]:
    """Each array (…) as a tensor (1, …)."""
    return [torch.from_numpy(np.ascontiguousarray(array))[None] for array in arrays]


@dataclass(frozen=True)
class GradientCheck:
    """Slopes of the MSS loss in the knobs, through the proxy and through the real effect."""

    sampler: PairSampler
    proxy: torch.nn.Module

    def _start(self, i: int, knobs: np.ndarray) -> np.ndarray:
        """Knobs near the target's, inside the range by at least DIFFERENCE."""
        rng = np.random.default_rng([self.sampler.config["seed"], i])
        move = rng.uniform(*MOVE, knobs.size) * rng.choice([-1, 1], knobs.size)
        inside = self.sampler.effect.panel.circular | (abs(knobs + move - 0.5) < 0.5)
        moved = knobs + np.where(inside, move, -move)
        return np.where(
            self.sampler.effect.panel.circular,
            moved % 1,
            moved.clip(DIFFERENCE, 1 - DIFFERENCE),
        ).astype(np.float32)

    def _real_slopes(self, dry, knobs, switches, wet: torch.Tensor) -> np.ndarray:
        """Central differences through the real effect: (K,)."""
        effect = self.sampler.effect

        def distance(k: int, by: float) -> float:
            moved = knobs.astype(np.float64)
            moved[k] += by
            moved = np.where(effect.panel.circular, moved % 1, moved)
            render = effect.render(dry, SAMPLE_RATE, effect.from_unit(moved, switches))
            return float(losses.mss(*batch_of_one(render), wet))

        return np.array(
            [
                (distance(k, DIFFERENCE) - distance(k, -DIFFERENCE)) / (2 * DIFFERENCE)
                for k in range(knobs.size)
            ]
        )

    def item(self, i: int) -> dict | None:
        """Cosine of the two gradients, and of each knob that has a slope whether the signs agree;
        None where the real one is zero."""
        item = self.sampler.item(i)
        start = self._start(i, item["knobs"])
        dry, wet, knobs, switches = batch_of_one(item["dry"], item["wet"], start, item["switches"])
        real = self._real_slopes(item["dry"], start, item["switches"], wet)
        if not np.abs(real).max() > 0:
            return None
        knobs.requires_grad_()
        losses.mss(self.proxy(dry, knobs, switches), wet).sum().backward()
        slopes = knobs.grad[0].double().numpy()
        norms = np.linalg.norm(slopes) * np.linalg.norm(real)
        moving = np.abs(real) > AT_REST * np.abs(real).max()
        return {
            "cosine": float(slopes @ real / norms) if norms > 0 else 0.0,
            "right": (np.sign(slopes) == np.sign(real))[moving].tolist(),
        }


def gradient_metrics(checks: list) -> dict:
    """Metrics of many checks: {"count", "cosine" (median), "cosine_p10", "right_sign" (share)}."""
    checks = [check for check in checks if check]
    cosines = [check["cosine"] for check in checks]
    right = [sign for check in checks for sign in check["right"]]
    return {
        "count": len(checks),
        "cosine": float(np.median(cosines)) if cosines else None,
        "cosine_p10": float(np.percentile(cosines, 10)) if cosines else None,
        "right_sign": float(np.mean(right)) if right else None,
    }
