"""Random music-like material: plucks, drums, chords and sweeps."""

from __future__ import annotations

import math

import numpy as np

from unmix.audio.io import SAMPLE_RATE

VERSION = 1  # goes up with every change of what is drawn: data sets made with another are not mixed


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
