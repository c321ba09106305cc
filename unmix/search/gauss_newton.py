"""Fit: one order of effects, whose knobs move until its real render is nearest to a recording.

All moves are judged by the real effects, in the cost of picture.py; where many are compared at
first, and for slopes, renders are made side by side. ``descend`` is a step of Levenberg and
Marquardt with differences of renders; ``descend_waveform`` takes such steps on the waveform. Moves over hills
that neither climbs are in jumps.py and filters.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from unmix.effects.batch import LANES
from unmix.recording.judge import Judge
from unmix.runtime.workers import thread_map
from unmix.search.point import Point
from unmix.search.starts import InitialPoint

DIFFERENCE = 0.001, 0.004  # of a knob in 0…1, for slopes of the real render: near, and 1 dB² away
FINE_DIFFERENCE = 1e-5, 1e-4, 3e-3  # least, at first and most, for slopes of the waveform
FINE_CHANGE = 0.3  # what a difference changes, as a share of what is left
FINE_TRUST, FINE_DAMPING = 0.1, 1e-8
CURVED, FINE_CURVED = 1e-3, 1e-6  # least curvature of a knob that damping reckons with, as a share
FINE_CARRIED = 0.5  # relative gain of a step above which the next one does with the same slopes
FINE_LEAST = 0.1  # relative gain of a step below which the waveform's descent ends
FINE_SOLVED = 1e-8  # the waveform's cost at which nothing is left
TRUST = 0.3  # no knob moves farther in a step
DAMPING, LEAST_DAMPING = 1e-2, 1e-4  # at first and at least, as shares of each knob's curvature
TRIES, REUSE_TRIES = 5, 2  # of a step with more and more damping
MATTERS = 1e-3  # share of the cost that a knob alone may lower, to be measured every time
REUSE = 3  # steps with the same measured slopes
PRIOR_WEIGHT_DB2 = (
    1e-3  # what a standard deviation from the belief costs, in dB²; near the recording
)
# it costs that share of what is left
PRIOR_SAMPLES = 128
FINISH_BELOW = 3.0  # dB²: above, the descent on the waveform has never helped


class GaussNewton(Point):
    """A position on its way.

    Args:
        judge, starts: as of Point.
        rng: of the kicks.
        near: the LFOs of the starts need not be looked for.

    Attributes:
        grained: numbers of the knobs that are rates of LFOs whose devices take them in steps.
        swept, freed: the cost when its LFOs, and ways out of where it stood, were last looked for.
    """

    def __init__(
        self,
        judge: Judge,
        starts: Sequence[InitialPoint],
        rng: np.random.Generator,
        near: bool = False,
    ):
        super().__init__(judge, starts)
        self.rng = rng
        self.quantised = [
            place.start + effect.knobs.index(effect.knob(effect.lfo.rate))
            for effect, place in zip(self.effects, self.knob_slices, strict=True)
            if effect.lfo and effect.lfo.grain_hz
        ]
        self.mean, self.prior_std = self._posterior()
        self.free = slice(0, len(self.circular))  # the knobs that descend
        self.damping, self.still = DAMPING, False
        self.whole = True  # whether the last measure was of all knobs
        self.linear, self.age = None, 0  # differences and slopes, and the steps since their measure
        self.searched_at, self.escaped_at = self.cost if near else math.inf, math.inf

    def _posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and spread of the belief in each knob; an endless spread where there is none, and
        for angles."""
        mean, spread = np.full(len(self.circular), 0.5), np.full(len(self.circular), np.inf)
        generator = torch.Generator().manual_seed(0)
        for effect, place in zip(self.effects, self.knob_slices, strict=True):
            if mixture := self.start.mixtures.get(effect.name):
                draws = mixture.sample(PRIOR_SAMPLES, generator)[:, 0].double().numpy()
                mean[place], spread[place] = draws.mean(0), draws.std(0) + 0.02
        spread[self.circular] = np.inf
        return mean, spread

    def set(self, cost: float, knobs, switches) -> None:
        super().set(cost, knobs, switches)
        self.damping, self.still, self.linear = DAMPING, False, None

    def restricted_to(self, i: int, cost: float, knobs: np.ndarray, switches) -> GaussNewton:
        """The same, of which the knobs of effect i move and no others, whatever is believed."""
        trial = self.copy_at(cost, knobs, switches)
        trial.free, trial.prior_std = self.knob_slices[i], np.full_like(self.prior_std, np.inf)
        return trial

    def jacobian(self, known=None, knobs=None) -> tuple[torch.Tensor, torch.Tensor]:
        """Differences (D,) of the settings as they stand, and their slopes (K, D) in dB per range
        of each knob; of ``knobs`` (numbers) alone where the others are known."""
        near, far = DIFFERENCE
        difference = max(near, far * min(1.0, math.sqrt(self.cost)))
        sizes = np.full(len(self.knobs), difference)
        return self._jacobian(self.judge.spectrogram, sizes, known, knobs)

    def _jacobian(self, view, sizes: np.ndarray, known=None, knobs=None):
        """The same in any view, with the sizes (K,) of the knobs' differences."""
        wet = self._wet(self.knobs, self.switches, max(len(self.effects) - 1, 0))
        here = self._residuals(wet, view=view)[0]
        moves = np.where((self.knobs < 0.5) | self.circular, sizes, -sizes)

        knobs = list(range(len(self.knobs))[self.free] if knobs is None else knobs)
        groups = np.array_split(knobs, -(-len(knobs) // (LANES - 1)))

        def renders(group) -> np.ndarray:
            """As the settings stand, and with each knob moved."""
            moved = np.repeat(self.knobs[None], 1 + len(group), 0)
            moved[range(1, 1 + len(group)), group] += moves[group]
            controls = [(one, self.switches) for one in moved]
            return self._render_batch(controls, self.effect_of[group[0]], smooth=True)

        slopes = torch.zeros(len(self.knobs), len(here)) if known is None else known.clone()
        for group, wets in zip(groups, thread_map(renders, groups), strict=True):
            stands, *moved = thread_map(lambda wet: self._residuals(wet, view)[0], wets)
            size = torch.from_numpy(moves[group]).float()[:, None]
            slopes[group] = (torch.stack(moved) - stands) / size
        return here, slopes

    def curvature(self, differences, slopes, view=None) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Newton: half the second derivatives (K, K) of the cost, and half its slope (K,), in
        the pictures or another view."""
        weighted = slopes * (view or self.judge.spectrogram).irls_weights(differences)
        curvature = semidefinite((weighted @ slopes.T).double().numpy())
        return curvature, (weighted @ differences).double().numpy()

    def descend(self) -> bool:
        """A step of Levenberg and Marquardt within the knobs' ranges (Nocedal and Wright,
        "Numerical Optimization", 2006, section 10.3); False if no step lowers the cost.

        Slopes are measured every REUSE steps, every other time of the knobs alone that matter;
        between they are carried along.
        """
        if self.still or not len(self.knobs):
            return False
        damping = self.damping
        if self.linear is not None and self.age < REUSE and self._step(REUSE_TRIES):
            return True
        if self.linear is not None and self.whole and len(some := self._matter()):
            self.whole, self.age, self.damping = False, 1, damping
            self.linear = self.jacobian(self.linear[1], some)
            if self._step(REUSE_TRIES):
                return True
        self.linear, self.whole, self.age, self.damping = self.jacobian(), True, 0, damping
        if self._step(TRIES):
            return True
        self.still = True
        return False

    def _matter(self) -> np.ndarray:
        """Numbers of the knobs of which each could lower the cost by MATTERS alone."""
        curvature, slope = self.curvature(*self.linear)
        steep, curved = np.abs(slope), curvature.diagonal() + 1e-12
        move = np.minimum(steep / curved, TRUST)
        return np.flatnonzero(move * (2 * steep - move * curved) > MATTERS * self.cost)

    def _bounded(self, curvature, slope, damping, trust: float, curved: float) -> np.ndarray:
        """The damped step (K,) that stays within the knobs' ranges and ``trust``."""
        from scipy.optimize import lsq_linear

        low = np.where(self.circular, -trust, np.maximum(-self.knobs, -trust))
        high = np.where(self.circular, trust, np.minimum(1 - self.knobs, trust))
        low, high = np.minimum(low, -1e-9), np.maximum(high, 1e-9)
        scale = np.maximum(curvature.diagonal(), curved * curvature.diagonal().max() + 1e-12)
        root = np.linalg.cholesky(curvature + np.diag(damping * scale + 1e-9))
        target = -np.linalg.solve(root, slope)
        return lsq_linear(root.T, target, (low, high), method="bvls").x

    def _step(self, tries: int) -> bool:
        differences, slopes = self.linear
        curvature, slope = self.curvature(differences, slopes)
        prior_precision = PRIOR_WEIGHT_DB2 * min(1.0, self.cost) / self.prior_std**2
        away = self.knobs - self.mean
        curvature += np.diag(prior_precision)
        slope += prior_precision * away
        before = self.cost + float(prior_precision @ away**2)
        for _ in range(tries):
            step = self._bounded(curvature, slope, self.damping, TRUST, CURVED)
            moved, heard = self.within(self.knobs + step), []
            after = self._residuals(self._wet(moved, self.switches, 0, heard))
            cost = float(self.judge.spectrogram.cost(after))
            if cost + float(prior_precision @ (moved - self.mean) ** 2) < before:
                gain = (self.cost - cost) / self.cost
                self.still = self.age == 0 and gain < 1e-3
                self.age = REUSE if gain < 0.05 else self.age + 1
                self.linear = after[0], carried(slopes, step, after[0] - differences)
                self.cost, self.knobs, self.stage_inputs = cost, moved, heard
                self.damping = max(self.damping / 5, LEAST_DAMPING)
                return True
            self.damping *= 8
        return False

    def descend_waveform(self, steps: int, out_of_time=lambda: False, hold: bool = False) -> int:
        """Steps of Levenberg and Marquardt on the waveform, taken if it gains more than the
        pictures lose.

        The pictures hardly know phase: what remains there after a descent, and two effects in the
        wrong order, shows in the waveform, where the right chain falls to the rounding noise. The
        rates of LFOs that take them in steps stay where they are when they lead no farther; with
        ``hold`` from the beginning.

        Returns:
            How many steps were tried.
        """
        if not len(self.knobs) or self.cost > FINISH_BELOW:
            return 0
        view, stood = self.judge.waveform, (self.knobs, self.stage_inputs)
        held: list[int] = self.quantised if hold else []
        least, first, most = FINE_DIFFERENCE
        sizes = np.full(len(self.knobs), first)
        damping, done, gain, measure = DAMPING, 0, 1.0, True
        cost = error = self.error()
        while done < steps and gain > FINE_LEAST and cost > FINE_SOLVED and not out_of_time():
            done += 1
            measured = measure
            if measured:
                here, slopes = self._jacobian(view, sizes)
                change = FINE_CHANGE * math.sqrt(cost) / (slopes.norm(dim=1).double() + 1e-9)
                sizes = change.numpy().clip(least, most)
            slopes[held] = 0
            curvature, slope = self.curvature(here, slopes, view)
            gain = 0.0
            for _ in range(TRIES if measured else REUSE_TRIES):
                step = self._bounded(curvature, slope, damping, FINE_TRUST, FINE_CURVED)
                knobs, heard = self.within(self.knobs + step), []
                there = self._residuals(self._wet(knobs, self.switches, 0, heard), view=view)
                after = float(view.cost(there))
                if after < cost:
                    gain, cost = 1 - after / cost, after
                    self.knobs, self.stage_inputs = knobs, heard
                    slopes, here = carried(slopes, step, there[0] - here), there[0]
                    damping = max(damping / 8, FINE_DAMPING)
                    break
                damping *= 8
            measure = gain < FINE_CARRIED
            if measure and (not measured or done == 1):
                gain = 1.0  # slopes measured anew, or with better sizes, may lead on
            elif gain <= FINE_LEAST and held != self.quantised:
                held, gain, measure = self.quantised, 1.0, False
        knobs, (self.knobs, self.stage_inputs) = self.knobs, stood
        if done:
            after = self.cost_of(knobs)
            if after * cost < self.cost * error:
                self.set(after, knobs, self.switches)
        return done


def semidefinite(matrix: np.ndarray) -> np.ndarray:
    """A symmetric matrix (K, K) that rounding may have given negative eigenvalues, without them;
    each row and column is reckoned with at its own scale."""
    scale = np.sqrt(matrix.diagonal().clip(1e-30))
    lengths, axes = np.linalg.eigh(matrix / np.outer(scale, scale))
    return (axes * lengths.clip(0)) @ axes.T * np.outer(scale, scale)


def carried(slopes: torch.Tensor, step: np.ndarray, change: torch.Tensor) -> torch.Tensor:
    """Slopes (K, D) after a step (K,) that changed the differences by ``change`` (D,): Broyden's
    update, the smallest that explains what the step did."""
    along = torch.from_numpy(step).float()
    return slopes + torch.outer(along / along.square().sum(), change - along @ slopes)
