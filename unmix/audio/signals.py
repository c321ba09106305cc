"""Dry sounds: the probe, other fixed test signals, synthetic music-like material, folders.

All signals are mono float32 (samples,) at 44.1 kHz.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from unmix.audio.io import SAMPLE_RATE
from unmix.errors import UnmixError

PROBE_VERSION = "probe-1"

FIXED_KINDS = ("probe", "noise", "chirp", "impulse")


FIXED_SECONDS = 4.0


# probe-1, in seconds and dBFS (peak)
STEP_LEVELS_DB = (-40, -12, -28, -3, -34, -18, -8)


STEP_SECONDS = 0.18


BURST_SECONDS, BURST_COUNT, BURST_PERIOD_SECONDS, BURST_LEVEL_DB = 0.012, 3, 0.1, -6


CHIRP_SECONDS, CHIRP_LEVEL_DB, CHIRP_RANGE_HZ = 0.8, -12, (20.0, 20_000.0)


SINE_SECONDS, SINE_HZ, SINE_LEVELS_DB = 0.5, 220.0, (-50, 0)


IMPULSE_LEVEL = 0.9


GAP_SECONDS = 0.04


def _white(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Uniform white noise in ±1 from the generator's raw integers (the same bits everywhere)."""
    return rng.integers(-(2**31), 2**31, samples, dtype=np.int64) / 2**31


def _gain(level_db: Any) -> Any:
    """Level in dB -> factor; a number or an array."""
    return 10 ** (level_db / 20)


def _log_chirp(seconds: float) -> np.ndarray:
    """Exponential sweep (Farina 2000): f(t) = f0 · (f1/f0)^(t/T)."""
    low, high = CHIRP_RANGE_HZ
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    rate = np.log(high / low) / seconds
    return np.sin(2 * np.pi * low / rate * np.expm1(rate * t))


def _quantised(signal: np.ndarray) -> np.ndarray:
    """Round to 24 bits, so that the last bit of a machine's sine does not matter."""
    return (np.round(signal * 2**23) / 2**23).astype(np.float32)


def _probe() -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(20_261_101))
    step, burst = round(STEP_SECONDS * SAMPLE_RATE), round(BURST_SECONDS * SAMPLE_RATE)
    gap = np.zeros(round(GAP_SECONDS * SAMPLE_RATE))
    steps = [_gain(level) * _white(rng, step) for level in STEP_LEVELS_DB]
    bursts = np.zeros((BURST_COUNT, round(BURST_PERIOD_SECONDS * SAMPLE_RATE)))
    bursts[:, :burst] = _gain(BURST_LEVEL_DB) * _white(rng, BURST_COUNT * burst).reshape(-1, burst)
    t = np.arange(round(SINE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    first, last = SINE_LEVELS_DB
    sine = _gain(first + (last - first) * t / SINE_SECONDS) * np.sin(2 * np.pi * SINE_HZ * t)
    chirp = _gain(CHIRP_LEVEL_DB) * _log_chirp(CHIRP_SECONDS)
    head = np.concatenate([*steps, gap, bursts.ravel(), chirp, gap, sine, gap])
    probe = np.zeros(round(FIXED_SECONDS * SAMPLE_RATE))
    probe[: head.size] = head
    probe[head.size] = IMPULSE_LEVEL
    return probe


@cache
def _fixed(kind: str) -> np.ndarray:
    samples = round(FIXED_SECONDS * SAMPLE_RATE)
    match kind:
        case "probe":
            signal = _probe()
        case "noise":
            signal = _gain(-9) * _white(np.random.Generator(np.random.PCG64(1)), samples)
        case "chirp":
            signal = _gain(-9) * _log_chirp(FIXED_SECONDS)
        case "impulse":
            signal = np.zeros(samples)
            signal[0] = IMPULSE_LEVEL
        case _:
            raise UnmixError(f"no source {kind!r}; the sources are {', '.join(FIXED_KINDS)}")
    signal = _quantised(signal)
    signal.setflags(write=False)
    return signal


def fixed(kind: str) -> np.ndarray:
    """One of FIXED_KINDS: float32 (176400,), the same bits on every machine.

    Raises:
        UnmixError: unknown kind.
    """
    return _fixed(kind).copy()


def probe() -> np.ndarray:
    """The probe (version PROBE_VERSION): float32 (176400,) at 44.1 kHz, 4 s.

    Noise in seven level steps (thresholds, attack, release), three noise bursts, a logarithmic
    chirp, a 220 Hz sine that rises from −50 to 0 dBFS (curve), and an impulse with 1.02 s of
    silence behind it (tails).

    >>> probe().shape, probe().dtype
    ((176400,), dtype('float32'))
    """
    return fixed("probe")


def probe_parts() -> dict[str, slice]:
    """Samples of the probe's parts: "steps", "bursts", "chirp", "sine", "impulse" (and silence)."""
    gap = ("", GAP_SECONDS)
    layout = (
        *[("steps", STEP_SECONDS)] * len(STEP_LEVELS_DB),
        gap,
        *[("bursts", BURST_PERIOD_SECONDS)] * BURST_COUNT,
        ("chirp", CHIRP_SECONDS),
        gap,
        ("sine", SINE_SECONDS),
        gap,
    )
    parts: dict[str, slice] = {}
    start = 0
    for name, seconds in layout:
        end = start + round(seconds * SAMPLE_RATE)
        parts[name] = slice(parts[name].start if name in parts else start, end)
        start = end
    return {**{name: parts[name] for name in parts if name}, "impulse": slice(start, probe().size)}
