"""How long a search may take, and who watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class SearchOptions:
    """The budget of a refinement.

    Attributes:
        steps: of descent, of all candidates together; with None or 0 ``seconds`` alone end it, and
            without them the initial points are judged, and that is all.
        seconds: wall-clock time after which the search ends, a few seconds more or less; the last
            of it is for ``polish``.
        polish: steps on the real effects at the end, for the answer alone, beyond ``steps``.
        seed: of everything random.
        device: where the proxies are.
    """

    steps: int | None = 200
    seconds: float | None = None
    polish: int = 10
    seed: int = 0
    device: str = "cpu"

    @property
    def searches(self) -> bool:
        """Whether anything moves at all."""
        return bool(self.steps or self.seconds)


@dataclass(frozen=True)
class Watch:
    """Who watches a search.

    Attributes:
        progress: called as progress(step, steps, smallest real distance so far); with
            ``SearchOptions.seconds`` the number of steps is an estimate.
        stop: asked before every step; True ends the search with the best answer so far.
    """

    progress: Callable[[int, int, float], None] | None = None
    stop: Callable[[], bool] | None = None


OPTIONS, UNWATCHED = SearchOptions(), Watch()
