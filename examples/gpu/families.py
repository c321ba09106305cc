"""Families of chains as ``unmix.dataset.ChainSampler`` draws them, thousands at once on a GPU.

A family is a chain of all effects, its beginnings, and their twins with two neighbours swapped. All
families go through their first effects side by side, then through their second ones, and so on.
Unlike there, a family of which a draw does not come out in DRAWS attempts is left out as a whole.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations

import hearing
import numpy as np
import torch
from render import Renderer

from unmix import effects, losses
from unmix.chain import canonical_order
from unmix.dataset import (
    AUDIBLE_MSS,
    AUDIBLE_SIZES,
    DEGRADED_SHARE,
    EMPTY_SHARE,
    FAMILY,
    MAX_LENGTH,
    PEAK_RANGE_DB,
)
from unmix.features import WINDOW

DRAWS = 4
COMPARED, HEARD = 256, 32  # families that are compared, and heard, at once


def _codes(orders: np.ndarray) -> np.ndarray:
    """(N, MAX_LENGTH) effect numbers, −1 behind the end -> one number each."""
    return (orders + 1) @ (MAX_LENGTH + 1) ** np.arange(MAX_LENGTH)


@cache
def _canonical() -> np.ndarray:
    """(codes, MAX_LENGTH): the canonical spelling of each order, by its code."""
    names = effects.names()
    table = np.full(((MAX_LENGTH + 1) ** MAX_LENGTH, MAX_LENGTH), -1)
    for length in range(1, MAX_LENGTH + 1):
        for order in permutations(range(len(names)), length):
            row = np.full((1, MAX_LENGTH), -1)
            row[0, :length] = order
            spelled = canonical_order([names[i] for i in order])
            table[_codes(row)[0], :length] = [names.index(name) for name in spelled]
    return table


class Families:
    """Makes families and what is heard of them.

    Args:
        count: families at once. device: that renders them.
    """

    def __init__(self, count: int, device: str = "cuda", seed: int = 0):
        self.count, self.device = count, device
        # the sources; behind 1 … 5 effects; twins of those behind 2 … 5
        self.audio = torch.zeros((2 * MAX_LENGTH) * count, WINDOW, device=device)
        self.stages = self.audio.view(2 * MAX_LENGTH, count, WINDOW)
        self.renderer = Renderer(self.audio)
        self.rng = np.random.default_rng([seed, 5])
        self.generator = torch.Generator(device).manual_seed(seed)

    def _rows(self, stage, families):
        return stage * self.count + families

    def _render(self, numbers, rows_from, rows_to, families, items) -> None:
        """Rows through the effects of those numbers, with the settings of families' items."""
        jobs = {}
        for number, name in enumerate(effects.names()):
            here = numbers == number
            owners = families[here], items[here]
            settings = self.knobs[name][owners], self.switches[name][owners]
            jobs[name] = rows_from[here], rows_to[here], *settings
        self.renderer.run(jobs)

    def _redraw(self, numbers, families, items=None) -> None:
        """New settings for one effect of each family; in one item of it, or in all."""
        for number, name in enumerate(effects.names()):
            which = families[numbers == number]
            knobs, switches = self._drawn(name, len(which))
            if items is None:
                self.knobs[name][which] = knobs[:, None]
                self.switches[name][which] = switches[:, None]
            else:
                own = which, items[numbers == number]
                self.knobs[name][own], self.switches[name][own] = knobs, switches

    def _drawn(self, name, count) -> tuple[np.ndarray, np.ndarray]:
        """Knobs (count, K) in 0…1 and option numbers (count, S) of an effect."""
        panel = effects.get(name).panel
        options = [self.rng.integers(len(s.options), size=count) for s in panel.switches]
        knobs = self.rng.random((count, len(panel.knobs)))
        return knobs, np.stack(options, 1) if options else np.zeros((count, 0), int)

    def _loud(self, rows: np.ndarray) -> np.ndarray:
        """Whether the peak of each row is in PEAK_RANGE_DB."""
        low, high = (10 ** (level / 20) for level in PEAK_RANGE_DB)
        peaks = [
            self.audio[torch.from_numpy(r).to(self.device)].abs().amax(-1) for r in _parts(rows)
        ]
        peaks = torch.cat(peaks) if peaks else torch.zeros(0)
        return ((peaks >= low) & (peaks <= high)).cpu().numpy()

    def _audible(self, stage, families) -> np.ndarray:
        """Whether the last effect of each family's beginning is heard; as dataset.audible."""
        found = []
        for part in _parts(families):
            rows = torch.from_numpy(part).to(self.device)
            wet, before = self.stages[stage][rows], self.stages[stage - 1][rows]
            found.append(losses.mss(wet, before, sizes=AUDIBLE_SIZES, overlap=1) >= AUDIBLE_MSS)
        return torch.cat(found).cpu().numpy() if found else np.zeros(0, bool)

    def grow(self) -> tuple[np.ndarray, np.ndarray]:
        """Render families on the sources in ``stages[0]``.

        Returns:
            Families that came out: (N,) numbers, and the orders of their items
            (N, FAMILY, MAX_LENGTH), −1 behind the end. The renders are in ``stages``, the settings
            of all families in ``knobs`` {effect: (count, FAMILY, K)} and ``switches``.
        """
        order = self.rng.permuted(np.tile(np.arange(MAX_LENGTH), (self.count, 1)), axis=1)
        order = _canonical()[_codes(order)]
        self.knobs, self.switches = {}, {}
        for name in effects.names():
            drawn = (np.repeat(x[:, None], FAMILY, 1) for x in self._drawn(name, self.count))
            self.knobs[name], self.switches[name] = drawn
        alive = np.ones(self.count, bool)
        for stage in range(1, MAX_LENGTH + 1):
            todo = np.flatnonzero(alive)
            for attempt in range(DRAWS):
                rows = self._rows(stage - 1, todo), self._rows(stage, todo)
                numbers = order[todo, stage - 1]
                if attempt:
                    self._redraw(numbers, todo)
                self._render(numbers, *rows, todo, np.zeros_like(todo))
                good = self._loud(rows[1]) & self._audible(stage, todo)
                todo = todo[~good]
            alive[todo] = False
        orders = np.full((self.count, FAMILY, MAX_LENGTH), -1)
        for n in range(1, MAX_LENGTH + 1):
            orders[:, n - 1, :n] = order[:, :n]
        orders[self.rng.random(self.count) < EMPTY_SHARE, 0] = -1
        alive &= self._twins(order, orders, np.flatnonzero(alive))
        return np.flatnonzero(alive), orders[alive]

    def _twins(self, order, orders, families) -> np.ndarray:
        """Render the twins of families, put their orders down; whether each family's came out."""
        lti = np.array([effects.get(name).linear_time_invariant for name in effects.names()])
        swaps = ~(lti[order[:, :-1]] & lti[order[:, 1:]])  # (families, places)
        lengths = np.repeat(np.arange(2, MAX_LENGTH + 1), len(families))
        owners, items = np.tile(families, MAX_LENGTH - 1), lengths + MAX_LENGTH - 2
        keys = self.rng.random((len(owners), MAX_LENGTH - 1)) * swaps[owners]
        keys[np.arange(MAX_LENGTH - 1) > lengths[:, None] - 2] = 0
        places, swapped = keys.argmax(1), keys.max(1) > 0
        twin = order[owners]
        n = np.arange(len(owners))
        twin[n, places], twin[n, places + 1] = order[owners, places + 1], order[owners, places]
        rows = self._rows(items + 1, owners)
        came = np.where(swapped, self._rows(places, owners), -1)
        for step in range(MAX_LENGTH):
            at = places + step
            here = swapped & (at < lengths)
            numbers = twin[here, at[here]]
            self._render(numbers, came[here], rows[here], owners[here], items[here])
            came = np.where(here, rows, came)
        good = np.zeros(len(owners), bool)
        good[swapped] = self._loud(rows[swapped])
        spelled = np.where(good[:, None], twin, order[owners])
        todo = np.flatnonzero(~good)
        for _ in range(DRAWS):  # the last effect drawn anew
            last = order[owners[todo], lengths[todo] - 1]
            before = self._rows(lengths[todo] - 1, owners[todo])
            self._redraw(last, owners[todo], items[todo])
            self._render(last, before, rows[todo], owners[todo], items[todo])
            todo = todo[~self._loud(rows[todo])]
        spelled[np.arange(MAX_LENGTH) >= lengths[:, None]] = -1
        orders[owners, items] = _canonical()[_codes(spelled)]
        came_out = np.zeros(self.count, bool)
        came_out[families] = True
        came_out[owners[todo]] = False
        return came_out

    def hear(self, families: np.ndarray, orders: np.ndarray) -> dict[str, torch.Tensor]:
        """Features of families as ``features.pack`` leaves them, ``order``, and ``knobs.NAME`` and
        ``switches.NAME`` of every effect: {name: (N, …)}; (N, FAMILY, …) but of the source."""
        parts = []
        for part in _parts(np.arange(len(families)), HEARD):
            rows = torch.from_numpy(families[part]).to(self.device)
            sources = self.stages[0][rows]
            wet = self.stages[1:][:, rows].transpose(0, 1).contiguous()
            empty = torch.from_numpy((orders[part, 0] < 0).all(-1)).to(self.device)
            wet[:, 0] = torch.where(empty[:, None], sources, wet[:, 0])
            degraded = hearing.degrade(wet.flatten(0, 1), DEGRADED_SHARE, self.generator)
            parts.append(hearing.pack(hearing.hear(degraded.view_as(wet), sources)))
        heard = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        labels = {"order": orders}
        for name in effects.names():
            labels[f"knobs.{name}"] = self.knobs[name][families].astype(np.float32)
            labels[f"switches.{name}"] = self.switches[name][families]
        return heard | {k: torch.from_numpy(v).to(self.device) for k, v in labels.items()}


def _parts(rows: np.ndarray, size: int = COMPARED) -> list[np.ndarray]:
    return [rows[n : n + size] for n in range(0, len(rows), size)]
