"""Refine: gradient descent on the knobs through frozen proxies, judged by the real effects.

Many starting points run in one batch. The proxies only propose: every few steps leading rows are
rendered with the real effects, and that distance alone decides what is kept and what is returned.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from unmix import losses
from unmix.chain import Chain, proxy_render
from unmix.judge import Judge
from unmix.nn.mixture import Mixture
from unmix.starts import Rows, Start, flips

ROWS = 8  # starting points in the first batch
RANK_SIZES = (1024, 128)  # FFT sizes of the cheaper distance that picks the starting points
STEP_SIZES = ((2048, 256), (1024, 128), (512, 64))  # FFT sizes of the loss, in turn
LEARNING_RATE = (0.1, 0.01)  # first and last, in normal space: the whole range is about 6 wide
ESR_WEIGHT = 0.5
BELIEF_WEIGHT = 5e-4
CHECK_EVERY = 10
AS_NEAR = 1.15, 0.01  # a distance up to factor · nearest + offset counts as just as near
HALVE_AT = (0.05, 0.15, 0.35)  # shares of the steps after which the worse half is dropped


@dataclass(frozen=True)
class Candidate:
    """A chain, where it came from, and its real distance (MSS)."""

    chain: Chain
    origin: Start
    distance: float

    @property
    def probability(self) -> float | None:
        """Of its effects in that order, by the network; None if nobody said."""
        log_prob = self.origin.log_prob
        return None if log_prob is None else math.exp(log_prob)

    @property
    def mixtures(self) -> dict[str, Mixture]:
        """What is believed of its knobs."""
        return self.origin.mixtures


@dataclass(frozen=True)
class Refined:
    """What came of a search.

    Attributes:
        candidates: the best of each order of effects: the answer, then the others, nearest first.
        before: real distance (MSS) of the prediction it started from.
        history: (step, smallest real distance so far).
        renders: how often the real effects ran.
    """

    candidates: list[Candidate]
    before: float
    history: list[tuple[int, float]]
    renders: int

    @property
    def chain(self) -> Chain:
        return self.candidates[0].chain

    @property
    def after(self) -> float:
        return self.candidates[0].distance


class Search:
    """The loop of ``refine`` and what it remembers."""

    def __init__(
        self,
        judge: Judge,
        proxies: dict,
        steps: int | None,
        seconds: float | None,
        device: str,
        progress: Callable | None,
        stop: Callable[[], bool] | None,
    ):
        self.judge, self.proxies, self.device = judge, proxies, device
        self.steps, self.seconds, self.began = steps, seconds, time.monotonic()
        self.stop = stop or (lambda: False)
        self.progress = progress or (lambda step, steps, distance: None)
        self.source = torch.from_numpy(np.ascontiguousarray(judge.source))[None].to(device)
        self.target = judge.target.to(device)
        self.best: dict[tuple[str, ...], Candidate] = {}
        self.history: list[tuple[int, float]] = []

    @property
    def nearest(self) -> float:
        return min(candidate.distance for candidate in self.best.values())

    def share(self, step: int) -> float:
        """How much of the budget is used up after so many steps, 0…1."""
        shares = [step / self.steps] if self.steps else []
        if self.seconds:
            shares.append((time.monotonic() - self.began) / self.seconds)
        return min(max(shares), 1.0)

    def meet(self, start: Start) -> float:
        """Judge a chain for good and remember it if it is the best of its order."""
        distance = self.judge.distance(start.chain)
        key = start.chain.canonical().names
        if key not in self.best or distance < self.best[key].distance:
            self.best[key] = Candidate(start.chain, start, distance)
        return distance

    def losses(self, rows: Rows, step: int) -> torch.Tensor:
        """What the optimiser lowers in one step, row by row: (B,)."""
        knobs = rows.knobs()
        source = self.source.expand(len(rows), -1)
        there = {name: u.to(self.device) for name, u in knobs.items()}
        switches = {name: options.to(self.device) for name, options in rows.switches.items()}
        output = proxy_render(self.proxies, source, rows.order.to(self.device), there, switches)
        output = self.judge.level(output)
        sizes = STEP_SIZES[step % len(STEP_SIZES)]
        loss = losses.mss(output, self.target, sizes)
        loss = loss + ESR_WEIGHT * losses.esr(output, self.target).sqrt()
        return loss.cpu() + BELIEF_WEIGHT * rows.surprise(knobs)

    def run(self, starts: list[Start]) -> None:
        """From rows to one row, until the budget is used up or somebody says stop."""
        rows = Rows(starts)
        optimiser = torch.optim.Adam(list(rows.free.values()))
        halvings = list(HALVE_AT)
        first, last = LEARNING_RATE
        step, share = 0, self.share(0)
        while share < 1 and not self.stop():
            step += 1
            share = max(self.share(step), 1e-6)
            rate = last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad()
            loss = self.losses(rows, step)
            loss.sum().backward()
            optimiser.step()
            if halvings and share >= halvings[0] and len(rows) > 1:
                halvings.pop(0)
                rows = self.halve(rows)
                optimiser = torch.optim.Adam(list(rows.free.values()))
            elif step % CHECK_EVERY == 0 or share == 1 or self.stop():
                self.check(rows, loss.detach())
            self.history.append((step, self.nearest))
            self.progress(step, max(step, round(step / share)), self.nearest)

    def leave_out(self, starts: Sequence[Start]) -> None:
        """Judge the nearest chain without each of its effects: an idle one explains nothing.

        A chain that the user gave (no belief) keeps its effects.
        """
        nearest = min(self.best.values(), key=lambda candidate: candidate.distance)
        if nearest.origin.log_prob is None:
            return
        steps = nearest.chain.steps
        for place in range(len(steps)):
            shorter = Chain(steps[:place] + steps[place + 1 :])
            names = shorter.canonical().names
            known = (s for s in starts if s.chain.canonical().names == names)
            believed = next(known, Start(shorter, mixtures=nearest.mixtures))
            self.meet(replace(believed, chain=shorter))

    def check(self, rows: Rows, loss: torch.Tensor) -> None:
        """Judge the rows that lead by the proxies' account."""
        for row in loss.argsort()[: max(1, len(rows) // 4)].tolist():
            self.meet(rows.start(row))

    def halve(self, rows: Rows) -> Rows:
        """Half as many rows: the nearest by the real effects; flips of the leader take part."""
        met = [(self.meet(s), s) for s in map(rows.start, range(len(rows)))]
        leader = min(met, key=lambda pair: pair[0])[1]
        for chain in flips(leader.chain):
            start = Start(chain, leader.log_prob, leader.mixtures)
            met.append((self.meet(start), start))
        met.sort(key=lambda pair: pair[0])
        return Rows([start for _, start in met[: len(rows) // 2]])


def pick(judge: Judge, starts: Sequence[Start], rows: int) -> tuple[list[Start], list[Start]]:
    """By a cheap real distance: the best start of each order of effects, nearest first; and the
    first batch, half of it at most from those, the rest whatever else is near."""
    near = [(judge.distance(s.chain, RANK_SIZES), i) for i, s in enumerate(starts)]
    ranked = [starts[i] for _, i in sorted(near)]
    orders = [start.chain.canonical().names for start in ranked]
    leaders = [s for i, s in enumerate(ranked) if orders.index(orders[i]) == i]
    movable = [s for s in leaders if s.chain.steps][: max(1, rows // 2)]
    rest = [s for s in ranked if s.chain.steps and s not in movable]
    return leaders, movable + rest[: rows - len(movable)]


def rank(candidates: Sequence[Candidate], before: float) -> list[Candidate]:
    """The answer, then the others, nearest first.

    The answer is the nearest; but of those as near (AS_NEAR), and no farther than ``before``, the
    one with the fewest effects, then the one the network finds most probable: an effect that does
    nothing must not win by a hair.
    """
    near = sorted(candidates, key=lambda candidate: candidate.distance)
    factor, offset = AS_NEAR
    limit = min(factor * near[0].distance + offset, max(before, near[0].distance))
    equals = [c for c in near if c.distance <= limit]
    answer = max(equals, key=lambda c: (-len(c.chain.steps), c.probability or 0.0))
    return [answer, *(c for c in near if c is not answer)]


def refine(
    recording: np.ndarray,
    source: np.ndarray,
    starts: Sequence[Start],
    proxies: dict,
    steps: int | None = 200,
    rows: int = ROWS,
    match_gain: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
    seconds: float | None = None,
    stop: Callable[[], bool] | None = None,
) -> Refined:
    """Search for the chain that turns the source into the recording.

    Args:
        recording, source: float32 (samples,) at 44.1 kHz, aligned.
        starts: where to begin; the first is the prediction that the answer is measured against.
        proxies: {effect: frozen module} for every effect that occurs; unused with 0 steps.
        steps: of gradient descent; with 0 the starts are judged, and that is all; with None
            ``seconds`` alone end it.
        rows: size of the first batch.
        match_gain: the recording's gain is unknown; compare at equal RMS level.
        device: where the proxies are; beliefs are on the CPU.
        progress: called as progress(step, steps, smallest real distance so far); with ``seconds``
            the number of steps is an estimate.
        seconds: wall-clock time after which the search ends, in the middle of a step more or less.
        stop: asked before every step; True ends the search with the best answer so far.

    Returns:
        Refined; its answer is never farther than the first start by the real render.
    """
    judge = Judge(recording, source, match_gain)
    search = Search(judge, proxies, steps, seconds, device, progress, stop)
    before = search.meet(starts[0])
    leaders, batch = pick(judge, starts, rows)
    for start in dict.fromkeys(leaders + batch):
        search.meet(start)
    if (steps or seconds) and batch:
        search.run(batch)
        search.leave_out(starts)
    candidates = rank(list(search.best.values()), before)
    return Refined(candidates, before, search.history, judge.renders)
