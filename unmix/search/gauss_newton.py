"""Levenberg-Marquardt on the knobs of one order of effects, in either objective.

The real effects decide: slopes are differences of their renders, and a step is taken only where it
lowers the cost. ``descend`` is one step in the robust cost of level spectrograms,
``descend_waveform`` several in the whitened waveform cost; one loop serves both, with the settings
SPECTROGRAM and WAVEFORM. Moves to regions that no descent reaches are in moves.py, lfo_moves.py and
band_moves.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy

import numpy as np
import torch

from unmix.effects.batch import LANES
from unmix.recording.judge import Judge
from unmix.runtime.workers import thread_map
from unmix.search.lm_settings import SPECTROGRAM, WAVEFORM
from unmix.search.point import InitialPoint, Point

PRIOR_DRAWS = 128  # from the posterior, for mean and deviation of each knob; not tuned


class GaussNewton(Point):
    """A point that descends.

    Args:
        judge, points: as of Point.
        rng: of random moves.
        near: the LFOs of the points need not be searched for.

    Attributes:
        settings: of Levenberg-Marquardt. In the waveform's, ``cost`` is that of the waveform.
        quantised: numbers of the knobs that are LFO rates which the device quantises.
        free: slice of the knobs that descend. held: numbers of knobs among them that do not move.
        prior_mean, prior_std: (K,) of the posterior of each knob.
        still: whether the descent has ended.
        linear: residuals (D,) and slopes (K, D), measured or carried along; None if unknown.
        age: steps since the slopes were measured. whole: whether those of all knobs were.
        sizes: (K,) differences for the next slopes, where they follow the last slopes.
        searched_at, escaped_at: cost when its LFOs were searched for, and ways out tried, last.
    """

    def __init__(
        self,
        judge: Judge,
        points: Sequence[InitialPoint],
        rng: np.random.Generator,
        near: bool = False,
    ):
        super().__init__(judge, points)
        self.rng = rng
        self.quantised = [
            own.start + effect.knobs.index(effect.knob(effect.lfo.rate))
            for effect, own in zip(self.effects, self.knob_slices, strict=True)
            if effect.lfo and effect.lfo.grain_hz
        ]
        self.prior_mean, self.prior_std = self._prior()
        self.free, self.held = slice(0, len(self.circular)), []
        self.searched_at, self.escaped_at = self.cost if near else math.inf, math.inf
        self.settings = SPECTROGRAM
        self._restart()

    def _restart(self) -> None:
        """Descend from new controls: nothing is known of their surroundings."""
        self.damping, self.still, self.linear = self.settings.damping, False, None
        self.age, self.whole, self.sizes = 0, True, None

    def _prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each knob's posterior; the deviation is infinite where
        there is none, and for angles."""
        mean, std = np.full(len(self.circular), 0.5), np.full(len(self.circular), np.inf)
        generator = torch.Generator().manual_seed(0)
        for effect, own in zip(self.effects, self.knob_slices, strict=True):
            if mixture := self.origin.mixtures.get(effect.name):
                draws = mixture.sample(PRIOR_DRAWS, generator)[:, 0].double().numpy()
                mean[own], std[own] = draws.mean(0), draws.std(0) + 0.02
        std[self.circular] = np.inf
        return mean, std

    def set(self, cost: float, knobs, switches) -> None:
        super().set(cost, knobs, switches)
        self._restart()

    def restricted_to(self, i: int, cost: float, knobs: np.ndarray, switches) -> GaussNewton:
        """A copy at other controls, of which only the knobs of effect i move, without a prior."""
        trial = self.copy_at(cost, knobs, switches)
        trial.free, trial.prior_std = self.knob_slices[i], np.full_like(self.prior_std, np.inf)
        return trial

    @property
    def objective(self):
        return getattr(self.judge, self.settings.objective)

    def _sizes(self) -> np.ndarray:
        """Differences of the knobs (K,) for slopes: larger far from the recording."""
        s = self.settings
        if self.sizes is not None:
            return self.sizes
        size = s.first_difference or s.most_difference * math.sqrt(self.cost)
        return np.full(len(self.knobs), size).clip(s.least_difference, s.most_difference)

    def jacobian(self, known=None, knobs=None) -> tuple[torch.Tensor, torch.Tensor]:
        """Residuals (D,) of the present settings, and their slopes (K, D) per range of each knob;
        of ``knobs`` (numbers) alone where the others are known."""
        wet = self._wet(self.knobs, self.switches, max(len(self.effects) - 1, 0))
        residuals = self._residuals(wet, self.objective)[0]
        sizes = self._sizes()
        moves = np.where((self.knobs < 0.5) | self.circular, sizes, -sizes)

        knobs = list(range(len(self.knobs))[self.free] if knobs is None else knobs)
        groups = np.array_split(knobs, -(-len(knobs) // (LANES - 1)))

        def renders(group) -> np.ndarray:
            """With the present knobs, and with each of the group moved."""
            moved = np.repeat(self.knobs[None], 1 + len(group), 0)
            moved[range(1, 1 + len(group)), group] += moves[group]
            controls = [(one, self.switches) for one in moved]
            return self._render_batch(controls, self.effect_of[group[0]], smooth=True)

        slopes = torch.zeros(len(self.knobs), len(residuals)) if known is None else known.clone()
        for group, wets in zip(groups, thread_map(renders, groups), strict=True):
            here, *moved = thread_map(lambda wet: self._residuals(wet, self.objective)[0], wets)
            size = torch.from_numpy(moves[group]).float()[:, None]
            slopes[group] = (torch.stack(moved) - here) / size
        return residuals, slopes

    def curvature(self, residuals, slopes) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Newton: half the second derivatives (K, K) of the cost, and half its gradient
        (K,)."""
        weighted = slopes * self.objective.irls_weights(residuals)
        curvature = semidefinite((weighted @ slopes.T).double().numpy())
        return curvature, (weighted @ residuals).double().numpy()

    def descend(self) -> bool:
        """One step down in the spectrogram objective; False if none lowers the cost."""
        return len(self.knobs) > 0 and self._run(1) > 0

    def descend_waveform(
        self, steps: int, out_of_time: Callable[[], bool] = lambda: False, hold: bool = False
    ) -> int:
        """Steps down in the waveform objective; they are taken if the waveform cost falls by a
        larger factor than the spectrogram cost rises.

        Level spectrograms hardly show phase: what a descent in them leaves, and two effects in the
        wrong order, shows in the waveform, where the right chain falls to the rounding noise. LFO
        rates that the device quantises are held when they lead no farther; with ``hold`` from the
        beginning.

        Returns:
            How many steps were tried.
        """
        if not len(self.knobs) or self.cost > WAVEFORM.start_below:
            return 0
        trial, error = copy(self), self.error()
        trial.settings, trial.cost = WAVEFORM, error
        trial.held = self.quantised if hold else []
        trial._restart()
        tried = trial._run(steps, out_of_time)
        if tried:
            cost = self.cost_of(trial.knobs)
            if cost * trial.cost < self.cost * error:
                self.set(cost, trial.knobs, self.switches)
        return tried

    def _run(self, steps: int, out_of_time: Callable[[], bool] = lambda: False) -> int:
        """Steps of Levenberg-Marquardt within the knobs' ranges (Nocedal and Wright, "Numerical
        Optimization", 2006, section 10.3), until the descent ends; how many."""
        taken, s = 0, self.settings
        while taken < steps and not self.still and self.cost >= s.solved and not out_of_time():
            stepped = self._attempt()
            taken += stepped or s.counts_failures
        return taken

    def _attempt(self) -> bool:
        """Try a step with the slopes that are due, and tell by its gain whether these serve once
        more, new ones are due, or the descent has ended; whether the step was taken."""
        s, before = self.settings, self.cost
        sizes_were_guessed = s.first_difference is not None and self.sizes is None
        fresh = self._measure()
        stepped = self._step(s.tries if fresh else s.carried_tries)
        gain = 1 - self.cost / before if stepped else 0.0
        self.age = self.age + 1 if gain >= s.carried_gain else s.carried_steps
        if fresh and gain <= s.least_gain and not sizes_were_guessed:
            if s.holds_rates and self.held != self.quantised:
                self.held, self.age = self.quantised, 0
            else:
                self.still = True
        return stepped

    def _measure(self) -> bool:
        """Measure the slopes that are due: none while the last ones serve, then every other time
        those of the knobs that matter; whether all were measured."""
        s = self.settings
        if self.linear is not None and self.age < s.carried_steps:
            return False
        if self.linear is not None and s.matters and self.whole and len(some := self._matter()):
            self.linear, self.whole, self.age = self.jacobian(self.linear[1], some), False, 1
            return False
        self.linear, self.whole, self.age = self.jacobian(), True, 0
        if s.first_difference is not None:
            norms = self.linear[1].norm(dim=1).double() + 1e-9
            sizes = s.difference_change * math.sqrt(self.cost) / norms
            self.sizes = sizes.numpy().clip(s.least_difference, s.most_difference)
        return True

    def _matter(self) -> np.ndarray:
        """Numbers of the knobs of which each alone could lower the cost by the share that
        matters."""
        s, (curvature, gradient) = self.settings, self.curvature(*self.linear)
        steep, curved = np.abs(gradient), curvature.diagonal() + 1e-12
        move = np.minimum(steep / curved, s.trust)
        return np.flatnonzero(move * (2 * steep - move * curved) > s.matters * self.cost)

    def _step(self, tries: int) -> bool:
        """Try damped steps, with more and more damping; whether one lowers cost and prior term."""
        s, (residuals, slopes) = self.settings, self.linear
        slopes[self.held] = 0
        curvature, gradient = self.curvature(residuals, slopes)
        prior_precision = s.prior_weight * min(1.0, self.cost) / self.prior_std**2
        away = self.knobs - self.prior_mean
        curvature += np.diag(prior_precision)
        gradient += prior_precision * away
        before, damping = self.cost + float(prior_precision @ away**2), self.damping
        for _ in range(tries):
            step = self._bounded(curvature, gradient, damping)
            knobs, stage_inputs = self.within(self.knobs + step), []
            wet = self._wet(knobs, self.switches, 0, stage_inputs)
            there = self._residuals(wet, self.objective)
            cost = float(self.objective.cost(there))
            if cost + float(prior_precision @ (knobs - self.prior_mean) ** 2) < before:
                self.linear = there[0], broyden(slopes, step, there[0] - residuals)
                self.cost, self.knobs, self.stage_inputs = cost, knobs, stage_inputs
                self.damping = max(damping / s.damping_fall, s.least_damping)
                return True
            damping *= s.damping_rise
        if s.keeps_damping:
            self.damping = damping
        return False

    def _bounded(self, curvature, gradient, damping: float) -> np.ndarray:
        """The damped step (K,) that stays within the knobs' ranges and the trust region."""
        from scipy.optimize import lsq_linear

        s = self.settings
        low = np.where(self.circular, -s.trust, np.maximum(-self.knobs, -s.trust))
        high = np.where(self.circular, s.trust, np.minimum(1 - self.knobs, s.trust))
        low, high = np.minimum(low, -1e-9), np.maximum(high, 1e-9)
        diagonal = curvature.diagonal()
        scale = np.maximum(diagonal, s.least_curvature * diagonal.max() + 1e-12)
        root = np.linalg.cholesky(curvature + np.diag(damping * scale + 1e-9))
        target = -np.linalg.solve(root, gradient)
        return lsq_linear(root.T, target, (low, high), method="bvls").x


def semidefinite(matrix: np.ndarray) -> np.ndarray:
    """A symmetric matrix (K, K) that rounding may have given negative eigenvalues, without them;
    each row and column is scaled to a unit diagonal meanwhile."""
    scale = np.sqrt(matrix.diagonal().clip(1e-30))
    lengths, axes = np.linalg.eigh(matrix / np.outer(scale, scale))
    return (axes * lengths.clip(0)) @ axes.T * np.outer(scale, scale)


def broyden(slopes: torch.Tensor, step: np.ndarray, change: torch.Tensor) -> torch.Tensor:
    """Slopes (K, D) after a step (K,) that changed the residuals by ``change`` (D,): the smallest
    update that explains it (Broyden, "A class of methods for solving nonlinear simultaneous
    equations", 1965)."""
    along = torch.from_numpy(step).float()
    return slopes + torch.outer(along / along.square().sum(), change - along @ slopes)
