"""Dry sounds: the probe, other fixed test signals, synthetic music-like material, folders.

All signals are mono float32 (samples,) at 44.1 kHz.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np

from unmix.audio.io import SAMPLE_RATE, read, resample
from unmix.errors import UnmixError

PROBE_VERSION = "probe-1"
FIXED_KINDS = ("probe", "noise", "chirp", "impulse")
FIXED_SECONDS = 4.0
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")

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


def _gain(level_db: float) -> float:
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
    parts, start = {}, 0
    for name, seconds in layout:
        end = start + round(seconds * SAMPLE_RATE)
        parts[name] = slice(parts[name].start if name in parts else start, end)
        start = end
    return {**{name: parts[name] for name in parts if name}, "impulse": slice(start, probe().size)}


def _envelope(samples: int, attack_s: float, decay_s: float) -> np.ndarray:
    t = np.arange(samples) / SAMPLE_RATE
    return np.minimum(t / attack_s, 1) * np.exp(-np.maximum(t - attack_s, 0) / decay_s)


def _one_pole_lowpass(x: np.ndarray, cutoff_hz: float) -> np.ndarray:
    from scipy.signal import lfilter

    c = np.exp(-2 * np.pi * cutoff_hz / SAMPLE_RATE)
    return lfilter([1 - c], [1, -c], x)


def _pluck(rng, samples):
    """Decaying harmonics, the higher ones faster: Σ w exp(λn + iφ), with exp λn made of two short
    series, exp λ(mB) · exp λk with n = mB + k."""
    f0 = 40 * 2 ** rng.uniform(0, 5)
    harmonics = np.arange(1, max(2, min(24, int(16_000 / f0))))
    decay = rng.uniform(0.1, 0.9) / (1 + rng.uniform(0, 0.5) * harmonics)
    weights = harmonics ** -rng.uniform(0.6, 2)
    phases = rng.uniform(0, 2 * np.pi, harmonics.size)
    rates = (2j * np.pi * f0 * harmonics - 1 / decay) / SAMPLE_RATE
    block = math.isqrt(samples) + 1
    begins = weights * np.exp(np.outer(block * np.arange(block), rates) + 1j * phases)
    return (begins @ np.exp(np.outer(rates, np.arange(block)))).imag.ravel()[:samples]


def _drum(rng, samples):
    """A falling sine with a noise burst: kick to hi-hat."""
    t = np.arange(samples) / SAMPLE_RATE
    low, drop = 40 * 2 ** rng.uniform(0, 3), rng.uniform(1, 5)
    fall = rng.uniform(0.01, 0.08)
    phase = 2 * np.pi * low * (t + (drop - 1) * fall * -np.expm1(-t / fall))
    body = np.sin(phase) * _envelope(samples, 0.001, rng.uniform(0.05, 0.3))
    noise = rng.uniform(-1, 1, samples) * _envelope(samples, 0.001, rng.uniform(0.01, 0.2))
    noise -= rng.random() * _one_pole_lowpass(noise, rng.uniform(500, 8_000))
    balance = rng.random()
    return balance * body + (1 - balance) * noise


def _chord(rng, samples):
    """Sustained saw-like notes under a low-pass, with slow tremolo."""
    t = np.arange(samples) / SAMPLE_RATE
    root = 55 * 2 ** rng.uniform(0, 3)
    chord = sum(
        2 * ((root * 2 ** (step / 12) * rng.uniform(0.997, 1.003) * t + rng.random()) % 1) - 1
        for step in rng.choice([0, 3, 4, 7, 10, 12, 16], size=rng.integers(1, 5), replace=False)
    )
    tremolo = 1 - rng.random() * 0.5 * (1 + np.sin(2 * np.pi * rng.uniform(0.5, 8) * t))
    chord = _one_pole_lowpass(chord, 300 * 2 ** rng.uniform(0, 5.5))
    return chord * tremolo * np.minimum(t / 0.01, 1)


def _sweep(rng, samples):
    """A tone or noise whose pitch and level move slowly."""
    t = np.linspace(0, 1, samples)
    low, high = 30 * 2 ** rng.uniform(0, 9, 2)
    phase = 2 * np.pi * np.cumsum(low * (high / low) ** t) / SAMPLE_RATE
    level = 10 ** (rng.uniform(-30, 0) * np.abs(t - rng.random()) / 20)
    noise = rng.uniform(-1, 1, samples) * rng.random() * 0.3
    return (np.sin(phase) + noise) * level


_VOICES = (_pluck, _drum, _chord, _sweep)


def synthetic(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Random music-like material: overlapping plucks, drums, chords, sweeps, noise beds, rests.

    Args:
        rng: everything random comes from here.
        samples: length.

    Returns:
        float32 (samples,), with a peak between −30 and 0 dBFS.
    """
    signal = np.zeros(samples)
    kinds = rng.choice(len(_VOICES), size=rng.integers(1, 4), replace=False)
    events = rng.integers(1, 3 + round(4 * samples / SAMPLE_RATE))
    for _ in range(events):
        start = int(rng.random() ** 1.5 * samples * 0.9)
        length = min(samples - start, round(rng.uniform(0.15, 2.0) * SAMPLE_RATE))
        voice = _VOICES[rng.choice(kinds)](rng, length)
        fade = min(length, 220)
        voice[length - fade :] *= np.linspace(1, 0, fade)
        peak = np.abs(voice).max() + 1e-9
        signal[start : start + length] += 10 ** (rng.uniform(-24, 0) / 20) * voice / peak
    if rng.random() < 0.3:  # a noise bed that comes and goes
        bed = rng.uniform(-1, 1, samples) * 10 ** (rng.uniform(-50, -15) / 20)
        signal += bed * np.interp(np.arange(samples), np.linspace(0, samples, 6), rng.random(6))
    if rng.random() < 0.3:  # noise in level steps
        steps = 10 ** (rng.uniform(-50, 0, rng.integers(2, 9)) / 20)
        noise = rng.uniform(-1, 1, samples) * np.repeat(steps, -(-samples // steps.size))[:samples]
        signal = noise if rng.random() < 0.5 else signal + noise
    peak = np.abs(signal).max()
    if peak == 0:
        signal[0] = peak = 1.0
    return (signal * 10 ** (rng.uniform(-30, 0) / 20) / peak).astype(np.float32)


class Folder:
    """Random excerpts from the audio files below a folder (mono mix, 44.1 kHz).

    Raises:
        UnmixError: no folder, or no audio file in it.
    """

    def __init__(self, path):
        if not Path(path).is_dir():
            raise UnmixError(f"{path}: no such folder")
        below = sorted(Path(path).rglob("*"))
        self.files = [p for p in below if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file()]
        if not self.files:
            suffixes = ", ".join(AUDIO_SUFFIXES)
            raise UnmixError(f"{path}: no audio files ({suffixes}) below this folder")

    def excerpt(self, rng: np.random.Generator, samples: int) -> np.ndarray:
        """float32 (samples,); a shorter file is followed by silence. Level as in ``synthetic``."""
        audio, rate = read(self.files[rng.integers(len(self.files))])
        mono = resample(audio.mean(0), rate, SAMPLE_RATE)
        start = rng.integers(max(1, mono.size - samples + 1))
        cut = mono[start : start + samples]
        cut = np.pad(cut, (0, samples - cut.size))
        peak = np.abs(cut).max()
        if peak == 0:
            return cut
        return (cut * 10 ** (rng.uniform(-30, 0) / 20) / peak).astype(np.float32)
