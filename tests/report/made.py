"""Results made by hand, without the network: what the report's tests draw."""

from __future__ import annotations

import numpy as np

from unmix import effects
from unmix.analysis.result import Excerpt, Result
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain

SECONDS = 1.5


def excerpt(chain: Chain, wrong: Chain, seconds: float = SECONDS, peak: float = 0.5) -> Excerpt:
    """White noise through two chains: the recording and the answer."""
    source = np.random.default_rng(0).uniform(-peak, peak, round(seconds * SAMPLE_RATE))
    source = source.astype(np.float32)
    recording, answer = (c.render(source, SAMPLE_RATE) for c in (wrong, chain))
    return Excerpt(recording, source, answer, 0.0, seconds, np.zeros(0, np.float32), chain)


def known(seconds: float = SECONDS, peak: float = 0.5) -> Result:
    """All effects with drawn settings, intervals, an undetermined knob, refine, two candidates."""
    rng = np.random.default_rng(3)
    chain = Chain([(name, effects.get(name).sample(rng)) for name in effects.names()])
    wrong = Chain(chain.steps[1:])
    intervals = {}
    for name, settings in chain.steps:
        fx = effects.get(name)
        u, switches = fx.to_unit(settings)
        low, high = (fx.from_unit(u + move, switches) for move in (-0.1, 0.1))
        intervals[name] = {knob.name: (low[knob.name], high[knob.name]) for knob in fx.knobs}
    first = chain.names[0]
    return Result(
        chain,
        [(chain, 0.5, 0.25), (wrong, 0.25, 0.75)],
        {"before": {"mss": 0.9, "esr_db": -3.0}, "after": {"mss": 0.25, "esr_db": -20.0}},
        intervals,
        "probe",
        undetermined={first: [effects.get(first).knobs[0].name]},
        latency_s=0.0125,
        notes=["The probe was found in the recording."],
        checks=[{"start_s": 20.0, "mss": 0.31, "esr_db": -18.5}],
        history=[(step, 0.9 / step) for step in range(1, 4)],
        excerpt=excerpt(chain, wrong, seconds, peak),
    )


def blind() -> Result:
    """The network's posterior alone, of an excerpt of a long recording."""
    result = known()
    sound = result.excerpt.recording
    return Result(
        result.chain,
        [(result.chain, 0.5, None)],
        None,
        result.intervals,
        "none",
        notes=["Without its source a recording tells less."],
        excerpt=Excerpt(sound, None, None, 30.0, 200.0),
    )
