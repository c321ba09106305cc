"""Analysis of a recording: from a file or an array to the chain with its knobs.

The package's front door: whatever is slow to import is imported inside the functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from operator import call
from pathlib import Path
from typing import TYPE_CHECKING

from unmix.errors import UnmixError

if TYPE_CHECKING:
    import numpy as np

    from unmix.chain import Chain
    from unmix.networks.model import InverseModel
from unmix.analysis.result import Excerpt, Result

BEAMS = 10  # chains that refine begins with
AROUND = 30  # starting points drawn around a chain that is refined alone
BLIND_NOTE = (
    "Without its source a recording tells less: this is the network's posterior, not checked by a "
    "render. Send the probe (unmix probe probe.wav) through the effects and analyse that, or name "
    "the dry file with --source."
)


def analyze(
    audio: str | Path | np.ndarray,
    sample_rate: int | None = None,
    source: str | Path | np.ndarray = "auto",
    refine: int = 0,
    top: int = 5,
    gain: float | str = 0.0,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
    model: InverseModel | None = None,
    proxies: dict | None = None,
    seconds: float | None = None,
    stop: Callable[[], bool] | None = None,
    polish: int = 10,
) -> Result:
    """Name the chain of effects in a recording, with every knob.

    Args:
        audio: a file, or an array (samples,) or (channels, samples) with ``sample_rate`` in Hz.
        source: "auto" (the probe if it is found, else blind), "probe", "noise", "chirp",
            "impulse", a dry audio file, the dry sound as an array at the recording's sample rate,
            or "none" (blind).
        refine: steps of refine; with 0 the network's first candidate is the answer.
        top: candidates in the answer.
        gain: in dB, what recording added and is taken out; "auto" if nobody knows.
        seed: of the random starting points.
        device: where the proxies run, e.g. "cuda".
        progress: called as progress(step, steps, real distance).
        model, proxies: an InverseModel on the CPU and {effect: module}; the bundled ones if None.
            Re-ranking belongs to the bundled model: another one goes without.
        seconds: wall-clock time for refine; alone, or beside ``refine`` as a second bound.
        stop: asked before every step of refine; True ends it with the best answer so far.
        polish: steps on the real effects at the end of refine, for the answer alone.

    Raises:
        UnmixError: audio that cannot be read or analysed, or an argument that makes no sense.
    """
    import torch

    from unmix.inference.predict import predict
    from unmix.recording.prepare import prepare
    from unmix.search.options import SearchOptions, Watch
    from unmix.weights import bundled_models

    options, watch = SearchOptions(refine, seconds, polish, seed, device), Watch(progress, stop)
    _check(options, top)
    problem = prepare(audio, sample_rate, source, gain)
    model, reranker = (model, None) if model else bundled_models()
    posteriors = predict(problem, model, max(top, BEAMS), reranker).posteriors
    generator = torch.Generator().manual_seed(seed)
    if problem.dry is None:
        return _blind(problem, posteriors[:top], options.searches, generator)
    kept = posteriors if options.searches else posteriors[:top]
    points, found = refine_posteriors(problem, kept, proxies, options, generator, watch)
    return _conclude(problem, points[0].chain, found, top, options.searches, generator)


def refine_chain(
    chain: Chain,
    audio: str | Path | np.ndarray,
    sample_rate: int | None = None,
    source: str | Path | np.ndarray = "auto",
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
    from unmix.search.options import SearchOptions, Watch
    from unmix.search.refine import refine
    from unmix.search.starts import perturbed

    options, watch = SearchOptions(steps, seconds, polish, seed, device), Watch(progress, stop)
    _check(options, 1)
    problem = prepare(audio, sample_rate, source, gain)
    if problem.dry is None:
        raise UnmixError("refine needs the source: the probe was not found; use --source")
    generator = torch.Generator().manual_seed(seed)
    points = perturbed(chain, AROUND if options.searches else 0, generator)
    found = refine(problem.judge, points, _proxies(proxies, options), options, watch)
    return _conclude(problem, chain, found, 1, options.searches, generator)


def refine_posteriors(
    problem, posteriors: list, proxies: dict | None, options, generator, watch=None
):
    """Search from what the network inferred; with no steps and no time, judge that alone.

    Args:
        problem: a recording.prepare.Problem whose source is known.
        posteriors: of the candidate chains, most probable first.
        proxies: {effect: module}; the bundled ones if None.
        options, watch: search.options.SearchOptions and Watch.
        generator: torch.Generator that draws the initial points.

    Returns:
        The initial points, of which the first is the prediction, and search.refine.Refined.
    """
    from unmix.search.options import Watch
    from unmix.search.refine import refine
    from unmix.search.starts import initial_points, prediction

    if options.searches:
        points = initial_points(posteriors, generator=generator)
    else:
        points = [prediction(posterior) for posterior in posteriors]
    points = [_at_beginning(problem, point) for point in points]
    found = refine(problem.judge, points, _proxies(proxies, options), options, watch or Watch())
    return points, found


def _check(options, top: int) -> None:
    """UnmixError for options that make no sense."""
    from unmix.runtime import devices

    steps, seconds = options.steps, options.seconds
    if steps < 0 or top < 1 or (seconds is not None and seconds <= 0):
        raise UnmixError("refine must be 0 or more, top 1 or more and seconds above 0")
    devices.check(options.device)


def _proxies(proxies: dict | None, options) -> dict:
    """The given ones, or the bundled ones where a search needs any."""
    from unmix.weights import load_proxy, proxied

    if proxies is not None or not options.searches:
        return proxies or {}
    return {name: load_proxy(name, options.device) for name in proxied()}


def _conclude(problem, prediction: Chain, found, top: int, refined: bool, generator) -> Result:
    """The result of a search: distances, intervals, remarks, and the answer's sound."""
    from unmix.analysis import diagnostics
    from unmix.analysis.sensitivity import undetermined
    from unmix.runtime.workers import nested_thread_map
    from unmix.search import laplace

    judge, best = problem.judge, found.candidates[0]
    chain = found.chain
    answer, checks, open_knobs, esr_before = nested_thread_map(
        call,
        [
            lambda: chain.render(problem.dry, problem.sample_rate),
            lambda: diagnostics.checks(problem, chain),
            lambda: undetermined(judge.source[judge.lead :], _at_window(problem, chain)),
            lambda: judge.esr_db(prediction),
        ],
    )
    if refined:
        sure = laplace.laplace_intervals(judge, best.origin)
        sure = _moved(sure, judge.at_begin(chain), chain)
    else:
        sure = _posterior_intervals(problem, best.origin, generator)
    return Result(
        chain=chain,
        candidates=[(c.chain, c.probability, c.distance) for c in found.candidates[:top]],
        distance={
            "before": {"mss": found.before, "esr_db": esr_before},
            "after": {"mss": found.after, "esr_db": judge.esr_db(chain)},
        },
        intervals=sure,
        source=problem.source,
        undetermined=open_knobs,
        latency_s=problem.latency_s,
        gain_db=problem.gain_db,
        notes=[*problem.pair.notes, *diagnostics.on_answer(judge, found, checks)],
        history=found.history,
        checks=checks,
        answer=answer,
        sample_rate=problem.sample_rate,
        excerpt=_excerpt(problem.pair, chain, judge.render(chain)[0].numpy()),
    )


def _at_beginning(problem, point):
    """An initial point, whose chain the network tells for the beginning of the window, told for
    the beginning of the source."""
    return replace(point, chain=point.chain.at_time(-problem.window_s))


def _at_window(problem, chain: Chain) -> Chain:
    """A chain that is told for the beginning of the source, told for that of the window."""
    return chain.at_time(problem.window_s)


def _posterior_intervals(problem, point, generator) -> dict:
    """90 % intervals of a point ``_at_beginning`` by its posterior: {effect: {knob: (low, high)}}
    in units."""
    from unmix.inference.intervals import posterior_intervals

    found = {
        name: posterior_intervals(name, point.mixtures[name], generator)
        for name in point.chain.names
        if name in point.mixtures
    }
    return _moved(found, _at_window(problem, point.chain), point.chain)


def _moved(intervals: dict, before: Chain, after: Chain) -> dict:
    """Intervals about the knobs of a chain told for one time, moved along to another time: an LFO's
    phase with its interval."""
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


def _blind(problem, posteriors: list, refine: bool, generator) -> Result:
    """The network's answer alone."""
    from unmix.search.starts import prediction

    notes = [*problem.pair.notes, BLIND_NOTE]
    if refine:
        notes.append("Refine was left out: it compares renders of the source with the recording.")
    points = [_at_beginning(problem, prediction(posterior)) for posterior in posteriors]
    return Result(
        chain=points[0].chain,
        candidates=[
            (point.chain, math.exp(posterior.log_prob), None)
            for point, posterior in zip(points, posteriors, strict=True)
        ],
        distance=None,
        intervals=_posterior_intervals(problem, points[0], generator),
        source=problem.source,
        gain_db=problem.gain_db,
        notes=notes,
        excerpt=_excerpt(problem.pair, None, None),
    )


def _excerpt(pair, chain: Chain | None, answer: np.ndarray | None) -> Excerpt:
    from unmix.audio.io import SAMPLE_RATE

    recording = pair.recording[: pair.valid]
    source = None if pair.source is None else pair.source[: pair.valid]
    start_s, whole_s = pair.start / SAMPLE_RATE, pair.whole / SAMPLE_RATE
    chain = None if chain is None else chain.at_time(pair.begin_s)
    return Excerpt(recording, source, answer, start_s, whole_s, pair.lead, chain)
