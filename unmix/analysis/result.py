"""The answer: chain, candidates, distances, intervals, remarks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from unmix.chain import Chain

FORMAT, FORMAT_VERSION = "unmix-result", 1


@dataclass
class Excerpt:
    """The part that was analysed: mono, aligned, at 44.1 kHz, what recording added taken out.

    Attributes:
        recording, source, answer: float32 (samples,); the answer is the source through the chain,
            at the level and with the polarity at which it was compared. The last two are None where
            the source is not known.
        start_s: where it starts in the aligned recording. whole_s: how long that is.
        lead: float32, the source just before the excerpt: what the effects are fed first.
        chain: the result's, as its LFOs stand where the lead begins; None without a source.
    """

    recording: np.ndarray
    source: np.ndarray | None
    answer: np.ndarray | None
    start_s: float
    whole_s: float
    lead: np.ndarray | None = None
    chain: Chain | None = None


@dataclass
class Result:
    """The answer.

    Attributes:
        chain: the best one, with complete settings in units.
        candidates: (chain, probability by the network or None, real distance or None), best first.
        distance: {"before", "after"}, each {"mss", "esr_db"}: between the recording and the real
            render of the prediction and of the answer; None where the source is not known.
        intervals: {effect: {knob: (low, high)}}, in units: where each knob of ``chain`` is with
            90 %, by the network's posterior, and after a search by the curvature there
            (search/laplace.py).
            On a circular knob low may exceed high: through 0.
        undetermined: {effect: knobs that this recording does not tell}: moved by 0.2 of their range
            they change the real render by less than −30 dB. Empty where the source is not known.
        source: the kind that was used: "probe", …, "file" or "none".
        latency_s: what was taken out. gain_db: what was taken out, None if unknown.
        notes: remarks in plain English.
        history: (step, real distance) of refine.
        checks: of a recording longer than the part that was analysed: {"start_s", "mss", "esr_db"}
            of the answer on other parts of it, which were not searched.
        answer: float32 (samples,): the source through ``chain``; None where it is not known.
        sample_rate: of the answer, in Hz: the source's.
        excerpt: the sounds that were compared, for plots and players.
    """

    chain: Chain
    candidates: list[tuple[Chain, float | None, float | None]]
    distance: dict[str, dict[str, float]] | None
    intervals: dict[str, dict[str, tuple[float, float]]]
    source: str
    undetermined: dict[str, list[str]] = field(default_factory=dict)
    latency_s: float = 0.0
    gain_db: float | None = 0.0
    notes: list[str] = field(default_factory=list)
    history: list[tuple[int, float]] = field(default_factory=list)
    checks: list[dict[str, float]] = field(default_factory=list)
    answer: np.ndarray | None = field(default=None, repr=False)
    sample_rate: int = 44_100
    excerpt: Excerpt | None = field(default=None, repr=False)

    def to_dict(self) -> dict:
        """Everything but the audio, ready for JSON."""
        return {
            "chain": _plain(self.chain),
            "candidates": [
                {"chain": _plain(chain), "probability": probability, "distance": distance}
                for chain, probability, distance in self.candidates
            ],
            "distance": self.distance,
            "intervals": self.intervals,
            "undetermined": self.undetermined,
            "source": self.source,
            "latency_s": self.latency_s,
            "gain_db": self.gain_db,
            "notes": self.notes,
            "history": self.history,
            "checks": self.checks,
        }


def _plain(chain: Chain) -> list[dict]:
    return [{"effect": name, "settings": settings} for name, settings in chain.steps]
