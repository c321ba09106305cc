"""Analysis of a recording: from a file or an array to the chain with its knobs.

The package's front door: whatever is slow to import is imported inside the functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import call
from typing import TYPE_CHECKING

from unmix.errors import UnmixError

if TYPE_CHECKING:
    import numpy as np

    from unmix.chain import Chain

BEAMS = 10  # chains that refine begins with
AROUND = 30  # starting points drawn around a chain that is refined alone
BLIND_NOTE = (
    "Without its source a recording tells less: this is the network's belief, not checked by a "
    "render. Send the probe (unmix probe probe.wav) through the effects and analyse that, or name "
    "the dry file with --source."
)


@dataclass
class Excerpt:
    """The part that was analysed: mono, aligned, at 44.1 kHz, what recording added taken out.

    Attributes:
        recording, source, answer: float32 (samples,); the answer is the source through the chain,
            at the level and with the polarity at which it was compared. The last two are None where
            the source is not known.
        start_s: where it starts in the aligned recording. whole_s: how long that is.
        lead: float32, the source just before the excerpt: the effects hear it, too.
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
            90 %, by the network's belief, and after a search by the curvature there (certainty.py).
            On a circular knob low may exceed high: through 0.
        undetermined: {effect: knobs that this recording does not tell}: moved by 0.2 of their range
            they change the real render by less than −30 dB. Empty where the source is not known.
        source: the kind that was used: "probe", …, "file" or "none".
        latency_s: what was taken out. gain_db: what was taken out, None if unknown.
        notes: remarks in plain English.
        history: (step, real distance) of refine.
        checks: of a recording longer than the part that was analysed: {"start_s", "mss", "esr_db"}
            of the answer on other parts of it, which the search did not hear.
        answer: float32 (samples,): the source through ``chain``; None where it is not known.
        sample_rate: of the answer, in Hz: the source's.
        excerpt: the sounds that were compared, for pictures and players.
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


def analyze(
    audio,
    sample_rate: int | None = None,
    source: str = "auto",
    refine: int = 0,
    top: int = 5,
    gain: float | str = 0.0,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
    model=None,
    proxies: dict | None = None,
    seconds: float | None = None,
    stop: Callable[[], bool] | None = None,
    polish: int = 10,
) -> Result:
    """Name the chain of effects in a recording, with every knob.

    Args:
        audio: a file, or an array (samples,) or (channels, samples) with ``sample_rate`` in Hz.
        source: "auto" (the probe if it is found, else blind), "probe", "noise", "chirp",
            "impulse", a dry audio file, or "none" (blind).
        refine: steps of refine; with 0 the network's first candidate is the answer.
        top: candidates in the answer.
        gain: in dB, what recording added and is taken out; "auto" if nobody knows.
        seed: of the random starting points.
        device: where the proxies run, e.g. "cuda".
        progress: called as progress(step, steps, real distance).
        model, proxies: an InverseModel on the CPU and {effect: module}; the bundled ones if None.
            The second hearing belongs to the bundled model: another one goes without.
        seconds: wall-clock time for refine; alone, or beside ``refine`` as a second bound.
        stop: asked before every step of refine; True ends it with the best answer so far.
        polish: steps on the real effects at the end of refine, for the answer alone.

    Raises:
        UnmixError: audio that cannot be read or analysed, or an argument that makes no sense.
    """
    import torch

    from unmix.inference.predict import believe
    from unmix.recording.prepare import prepare
    from unmix.runtime import devices
    from unmix.search.starts import prediction, starts_from_beliefs
    from unmix.weights import bundled_models

    if refine < 0 or top < 1 or (seconds is not None and seconds <= 0):
        raise UnmixError("refine must be 0 or more, top 1 or more and seconds above 0")
    devices.check(device)
    prepared = prepare(audio, sample_rate, source, gain)
    model, reranker = (model, None) if model else bundled_models()
    beliefs = believe(model, prepared, max(top, BEAMS), reranker)
    generator = torch.Generator().manual_seed(seed)
    refines = bool(refine or seconds)
    if prepared.dry is None:
        return _blind(prepared, beliefs[:top], refines, generator)
    if refines:
        starts = starts_from_beliefs(beliefs, generator=generator)
    else:
        starts = [prediction(belief) for belief in beliefs[:top]]
    found = _search(
        prepared, starts, proxies, refine, device, progress, seconds, stop, polish, seed
    )
    return _conclude(prepared, starts[0].chain, found, top, refines, generator)


def refine_chain(
    chain: Chain,
    audio,
    sample_rate: int | None = None,
    source: str = "auto",
    steps: int = 200,
    gain: float | str = 0.0,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
    proxies: dict | None = None,
    seconds: float | None = None,
    stop: Callable[[], bool] | None = None,
    polish: int = 10,
) -> Result:
    """Refine the settings of a given chain on a recording. Arguments as ``analyze``.

    Raises:
        UnmixError: as ``analyze``; or the source is not known.
    """
    import torch

    from unmix.recording.prepare import prepare
    from unmix.runtime import devices
    from unmix.search.starts import around

    if steps < 0 or (seconds is not None and seconds <= 0):
        raise UnmixError("steps must be 0 or more and seconds above 0")
    devices.check(device)
    prepared = prepare(audio, sample_rate, source, gain)
    if prepared.dry is None:
        raise UnmixError("refine needs the source: the probe was not found; use --source")
    generator = torch.Generator().manual_seed(seed)
    chain = chain.later(prepared.pair.begin_s)  # it is told for the beginning of the source
    refines = bool(steps or seconds)
    starts = around(chain, AROUND if refines else 0, generator)
    found = _search(prepared, starts, proxies, steps, device, progress, seconds, stop, polish, seed)
    return _conclude(prepared, chain, found, 1, refines, generator)


def _search(
    prepared, starts, proxies, steps: int, device: str, progress, seconds, stop, polish, seed
):
    """Refine a prepared recording, with the bundled proxies if None are given."""
    from unmix import effects
    from unmix.search.refine import refine
    from unmix.weights import load_proxy

    if proxies is None and (steps or seconds):
        proxies = {name: load_proxy(name, device) for name in effects.names()}
    return refine(
        *prepared.pair.sounds(),
        starts,
        proxies,
        steps,
        match_gain=prepared.match_gain,
        device=device,
        progress=progress,
        seconds=seconds,
        stop=stop,
        polish=polish,
        seed=seed,
    )


def _conclude(prepared, prediction: Chain, found, top: int, refined: bool, generator) -> Result:
    """The result of a search: distances, intervals, remarks, and the answer's sound."""
    from unmix.analysis import diagnostics
    from unmix.analysis.sensitivity import undetermined
    from unmix.audio.io import SAMPLE_RATE
    from unmix.inference.predict import intervals
    from unmix.runtime.workers import apart
    from unmix.search import laplace

    judge, best = prepared.judge(), found.candidates[0]
    early = -prepared.pair.begin_s  # what is told is for the beginning of the source
    chain = found.chain.later(early)
    answer, checks, open_knobs, esr_before = apart(
        call,
        [
            lambda: chain.render(prepared.dry, prepared.sample_rate),
            lambda: diagnostics.checks(prepared, chain),
            lambda: undetermined(
                judge.source[judge.lead :], found.chain.later(judge.lead / SAMPLE_RATE)
            ),
            lambda: judge.esr_db(prediction),
        ],
    )
    if refined:
        sure = laplace.intervals(judge, best.origin)
    else:
        sure = {
            name: intervals(name, best.mixtures[name], generator)
            for name in chain.names
            if name in best.mixtures
        }
    return Result(
        chain=chain,
        candidates=[
            (c.chain.later(early), c.probability, c.distance) for c in found.candidates[:top]
        ],
        distance={
            "before": {"mss": found.before, "esr_db": esr_before},
            "after": {"mss": found.after, "esr_db": judge.esr_db(found.chain)},
        },
        intervals=_moved(sure, found.chain, chain),
        source=prepared.source,
        undetermined=open_knobs,
        latency_s=prepared.latency_s,
        gain_db=prepared.gain_db,
        notes=[*prepared.pair.notes, *diagnostics.on_answer(judge, found, checks)],
        history=found.history,
        checks=checks,
        answer=answer,
        sample_rate=prepared.sample_rate,
        excerpt=_excerpt(prepared.pair, found.chain, judge.render(found.chain)[0].numpy()),
    )


def _moved(intervals: dict, before: Chain, after: Chain) -> dict:
    """Intervals about the knobs of one chain, moved along to another's."""
    from unmix import effects

    there, moved = dict(after.steps), {}
    for name, settings in before.steps:
        if name in intervals:
            moved[name] = {
                knob.name: tuple(
                    knob.check(end + there[name][knob.name] - settings[knob.name])
                    for end in intervals[name][knob.name]
                )
                for knob in effects.get(name).knobs
            }
    return moved


def _blind(prepared, beliefs: list, refine: bool, generator) -> Result:
    """The network's answer alone."""
    from unmix.inference.predict import intervals
    from unmix.search.starts import prediction

    notes = [*prepared.pair.notes, BLIND_NOTE]
    if refine:
        notes.append("Refine was left out: it compares renders of the source with the recording.")
    starts = [prediction(belief) for belief in beliefs]
    mixtures = starts[0].mixtures
    return Result(
        chain=starts[0].chain,
        candidates=[(start.chain, math.exp(start.log_prob), None) for start in starts],
        distance=None,
        intervals={name: intervals(name, mixtures[name], generator) for name in mixtures},
        source=prepared.source,
        gain_db=prepared.gain_db,
        notes=notes,
        excerpt=_excerpt(prepared.pair, None, None),
    )


def _excerpt(pair, chain: Chain | None, answer: np.ndarray | None) -> Excerpt:
    from unmix.audio.io import SAMPLE_RATE

    recording = pair.recording[: pair.valid]
    source = None if pair.source is None else pair.source[: pair.valid]
    start_s, whole_s = pair.start / SAMPLE_RATE, pair.whole / SAMPLE_RATE
    return Excerpt(recording, source, answer, start_s, whole_s, pair.lead, chain)
