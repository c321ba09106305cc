"""Analysis of a recording: from a file or an array to the chain with its knobs.

The package's front door: whatever is slow to import is imported inside the functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import call
from typing import TYPE_CHECKING

from unmix.errors import UnmixError

if TYPE_CHECKING:
    import numpy as np

    from unmix.chain import Chain
from unmix.analysis.result import Excerpt, Result

BEAMS = 10  # chains that refine begins with


AROUND = 30  # starting points drawn around a chain that is refined alone


BLIND_NOTE = (
    "Without its source a recording tells less: this is the network's belief, not checked by a "
    "render. Send the probe (unmix probe probe.wav) through the effects and analyse that, or name "
    "the dry file with --source."
)


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

    from unmix.inference.predict import infer
    from unmix.recording.prepare import prepare
    from unmix.runtime import devices
    from unmix.search.starts import initial_points, prediction
    from unmix.weights import bundled_models

    if refine < 0 or top < 1 or (seconds is not None and seconds <= 0):
        raise UnmixError("refine must be 0 or more, top 1 or more and seconds above 0")
    devices.check(device)
    prepared = prepare(audio, sample_rate, source, gain)
    model, reranker = (model, None) if model else bundled_models()
    posteriors = infer(model, prepared, max(top, BEAMS), reranker)
    generator = torch.Generator().manual_seed(seed)
    refines = bool(refine or seconds)
    if prepared.dry is None:
        return _blind(prepared, posteriors[:top], refines, generator)
    if refines:
        starts = initial_points(posteriors, generator=generator)
    else:
        starts = [prediction(posterior) for posterior in posteriors[:top]]
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
    from unmix.search.starts import perturbed

    if steps < 0 or (seconds is not None and seconds <= 0):
        raise UnmixError("steps must be 0 or more and seconds above 0")
    devices.check(device)
    prepared = prepare(audio, sample_rate, source, gain)
    if prepared.dry is None:
        raise UnmixError("refine needs the source: the probe was not found; use --source")
    generator = torch.Generator().manual_seed(seed)
    chain = chain.at_time(prepared.pair.begin_s)  # it is told for the beginning of the source
    refines = bool(steps or seconds)
    starts = perturbed(chain, AROUND if refines else 0, generator)
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
    from unmix.inference.intervals import posterior_intervals
    from unmix.runtime.workers import nested_thread_map
    from unmix.search import laplace

    judge, best = prepared.judge(), found.candidates[0]
    early = -prepared.pair.begin_s  # what is told is for the beginning of the source
    chain = found.chain.at_time(early)
    answer, checks, open_knobs, esr_before = nested_thread_map(
        call,
        [
            lambda: chain.render(prepared.dry, prepared.sample_rate),
            lambda: diagnostics.checks(prepared, chain),
            lambda: undetermined(
                judge.source[judge.lead :], found.chain.at_time(judge.lead / SAMPLE_RATE)
            ),
            lambda: judge.esr_db(prediction),
        ],
    )
    if refined:
        sure = laplace.laplace_intervals(judge, best.origin)
    else:
        sure = {
            name: posterior_intervals(name, best.mixtures[name], generator)
            for name in chain.names
            if name in best.mixtures
        }
    return Result(
        chain=chain,
        candidates=[
            (c.chain.at_time(early), c.probability, c.distance) for c in found.candidates[:top]
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


def _blind(prepared, posteriors: list, refine: bool, generator) -> Result:
    """The network's answer alone."""
    from unmix.inference.intervals import posterior_intervals
    from unmix.search.starts import prediction

    notes = [*prepared.pair.notes, BLIND_NOTE]
    if refine:
        notes.append("Refine was left out: it compares renders of the source with the recording.")
    starts = [prediction(posterior) for posterior in posteriors]
    mixtures = starts[0].mixtures
    return Result(
        chain=starts[0].chain,
        candidates=[(start.chain, math.exp(start.log_prob), None) for start in starts],
        distance=None,
        intervals={name: posterior_intervals(name, mixtures[name], generator) for name in mixtures},
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
