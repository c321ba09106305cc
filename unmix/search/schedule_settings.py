"""Settings of the course of a search (schedule.py): moves, steps, and how many fits go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unmix.search import lfo_moves, moves
from unmix.search.gauss_newton import GaussNewton

Move = Callable[[GaussNewton], object]


@dataclass(frozen=True)
class Schedule:
    """Which fits move when. "Not tuned": no trial is on record that chose the value. Costs are of
    the spectrogram objective, in dB², unless said otherwise."""

    # moves of every round, in turn; an ablation leaves one out
    round_moves: tuple[Move, ...] = (moves.perturb, lfo_moves.search_lfo)
    # moves of a fit that nothing else leads on from, in turn
    escapes: tuple[Move, ...] = (moves.try_options, moves.line_search, lfo_moves.trade_rate)
    # fits that are screened, that go on after that, and that go on to the end; not tuned
    fits: tuple[int, int, int] = (6, 4, 2)
    # fits whose LFOs are searched for first, for the others to copy; not tuned
    ahead: int = 2
    # steps of descent of a fit that is screened; not tuned
    screen_steps: int = 4
    # steps of a round: through the proxies, on the real effects, in the waveform; not tuned
    proxy_steps: int = 8
    descent_steps: int = 5
    waveform_steps: int = 8
    # cost above which the proxies are used; below, they lead no nearer; not tuned
    proxies_above: float = 0.3
    # waveform cost below which the spectrogram objective leads no nearer; not tuned
    waveform_below: float = 1e-5
    # steps of each fit in a race, and how many fits go on after it; not tuned
    race_steps: int = 2
    raced: int = 4
    # times that neighbours of the leader are tried …; not tuned
    edits: int = 2
    # … again for the same order when its cost has fallen to that share; not tuned
    edit_again: float = 0.25
    # an effect is pruned if the cost without it is up to factor · cost + offset; not tuned
    idle: tuple[float, float] = (1.1, 1e-4)
    # times that a band is relocated, one after the other …; not tuned
    relocations: int = 3
    # … while the cost falls below that share; not tuned
    relocated: float = 0.8
    # share of its cost above which a fit has not moved; not tuned
    unmoved: float = 0.98
    # share of the cost at the last escape at which escapes are tried again; not tuned
    escape_again: float = 0.5
    # other initial points of the leader's order, when it does not move any more; not tuned
    restarts: int = 2
    # share of the seconds for the search; the rest is for polishing; not tuned
    search_share: float = 0.9


SCHEDULE = Schedule()
