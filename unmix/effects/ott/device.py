"""OTT: three bands, each compressed downward and upward at once."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from unmix.audio.io import SAMPLE_RATE
from unmix.effects.base import Effect
from unmix.effects.batch import LANES
from unmix.effects.controls import Knob
from unmix.effects.ott import lanes
from unmix.effects.ott.gain_law import (
    ATTACK_S,
    BAND_NAMES,
    CROSSOVERS_HZ,
    DOWN_SLOPE,
    INPUT_GAIN_DB,
    OUTPUT_GAIN_DB,
    POWER_FLOOR,
    RELEASE_S,
    _law_db,
    butterworth2,
    smoothing,
)
from unmix.effects.plotdata import Axis, Curve, Line, time_axis

BLOCK = 16_384  # samples that are computed at once: they stay in the cache
LANES_BLOCK = 1_024  # the same of LANES sounds
PLOT_POINTS = 500  # of the gains over time


@njit(cache=True, fastmath=True, nogil=True)
def _follow(x, low1, high1, low2, high2, attack, release, sections, env, bands, powers):
    """Splits a block (samples,) into bands and follows their powers, both (3, samples).

    Direct form II transposed ``sections`` (9, 2) and detectors ``env`` (3,) go on from block to
    block.
    """
    a1, a2 = low2[3], low2[4]
    detector_gain = 10 ** (INPUT_GAIN_DB / 10)
    for n in range(x.size):
        low = high = float(x[n])
        for stage in range(2):
            s = sections[stage]
            v = low1[0] * low + s[0]
            s[0] = low1[1] * low - low1[3] * v + s[1]
            s[1] = low1[2] * low - low1[4] * v
            low = v
            s = sections[2 + stage]
            v = high1[0] * high + s[0]
            s[0] = high1[1] * high - high1[3] * v + s[1]
            s[1] = high1[2] * high - high1[4] * v
            high = v
        # LR4 low + high at the second crossover is the all-pass with the same poles
        s = sections[4]
        v = a2 * low + s[0]
        s[0] = a1 * low - a1 * v + s[1]
        s[1] = low - a2 * v
        bands[0, n] = v
        mid = high
        for stage in range(2):
            s = sections[5 + stage]
            v = low2[0] * mid + s[0]
            s[0] = low2[1] * mid - low2[3] * v + s[1]
            s[1] = low2[2] * mid - low2[4] * v
            mid = v
            s = sections[7 + stage]
            v = high2[0] * high + s[0]
            s[0] = high2[1] * high - high2[3] * v + s[1]
            s[1] = high2[2] * high - high2[4] * v
            high = v
        bands[1, n] = mid
        bands[2, n] = high
        for b in range(3):
            p = bands[b, n] * bands[b, n] * detector_gain
            c = attack[b] if p > env[b] else release[b]
            env[b] = c * env[b] + (1 - c) * p
            powers[b, n] = env[b]


@njit(cache=True, fastmath=True, nogil=True)
def _to_gains(levels_db, above, below, down, fixed_db, amount):
    """Turns the levels (3, samples) of a block into gains, in dB, in place; all in 32 bits."""
    for b in range(3):
        for n in range(levels_db.shape[1]):
            law = _law_db(levels_db[b, n], above[b], below[b], down[b])
            levels_db[b, n] = amount * (fixed_db[b] + law)


class OTT(Effect):
    """Upward and downward compression in three bands, with the stock figures of the known preset.

    The bands come from Linkwitz-Riley crossovers and sum to an all-pass: at ``amount`` 0 % the
    magnitude is flat. Soft knee: Giannoulis, Massberg, Reiss, "Digital Dynamic Range Compressor
    Design", JAES 60(6), 2012, equation 4.
    """

    name = "ott"
    order = 3
    proxy_class = "unmix.effects.ott.proxy:OTTProxy"
    description = "Multiband compressor that lifts the quiet and holds down the loud."
    knobs = (
        Knob("amount", "%", 0, 100, "linear", 100, "depth of the compression"),
        Knob("time", "%", 10, 1_000, "log", 100, "scales attack and release times"),
        *(
            Knob(f"above_{b}", "dB", -40, 0, "linear", -20, f"{b} band: pressed down above")
            for b in BAND_NAMES
        ),
        *(
            Knob(f"below_{b}", "dB", -60, -10, "linear", -40, f"{b} band: lifted below")
            for b in BAND_NAMES
        ),
    )
    min_sample_rate = 0

    @staticmethod
    def thresholds(settings: dict) -> tuple[np.ndarray, np.ndarray]:
        """Above and below (3,) in dB, band by band; above wins where they cross."""
        above = np.array([settings[f"above_{b}"] for b in BAND_NAMES])
        return above, np.minimum(above, [settings[f"below_{b}"] for b in BAND_NAMES])

    @staticmethod
    def _filters(sample_rate: int) -> list[np.ndarray]:
        """The sections of the two crossovers, low and high."""
        return [
            np.array(butterworth2(hz, sample_rate, high))
            for hz in CROSSOVERS_HZ
            for high in (False, True)
        ]

    def blocks(self, audio, sample_rate: int, settings: dict):
        """Audio (samples,) block by block: its bands and the gains in dB that they get, low, mid
        and high, both float32 (3, samples of the block)."""
        filters = self._filters(sample_rate)
        time = settings["time"] / 100
        followers = smoothing(ATTACK_S, time, sample_rate), smoothing(RELEASE_S, time, sample_rate)
        fixed_db = INPUT_GAIN_DB + np.array(OUTPUT_GAIN_DB)
        above, below = self.thresholds(settings)
        law = tuple(map(np.float32, (above, below, DOWN_SLOPE, fixed_db, settings["amount"] / 100)))
        sections, env = np.zeros((9, 2)), np.zeros(3)
        audio = np.ascontiguousarray(audio)
        for start in range(0, audio.size, BLOCK):
            block = audio[start : start + BLOCK]
            bands, gains_db = np.empty((2, 3, block.size), np.float32)
            _follow(block, *filters, *followers, sections, env, bands, gains_db)
            gains_db += POWER_FLOOR
            np.log(gains_db, out=gains_db)
            gains_db *= np.float32(10 / math.log(10))
            _to_gains(gains_db, *law)
            yield bands, gains_db

    def response_plots(self, settings, input_audio, sample_rate=SAMPLE_RATE, lead=0):
        found = [self._levels(settings)]
        if input_audio is not None:
            found.insert(0, self._gains_over_time(settings, input_audio, sample_rate, lead))
        return found

    def _gains_over_time(self, settings, input_audio, sample_rate, lead) -> Curve:
        blocks = [gains for _, gains in self.blocks(input_audio, sample_rate, settings)]
        gains = np.concatenate(blocks, 1)[:, lead:]
        time = time_axis(gains.shape[1], sample_rate)
        every = max(1, gains.shape[1] // PLOT_POINTS)
        gains = gains[:, ::every]
        seconds = np.arange(gains.shape[1]) * every / sample_rate
        lines = tuple(
            Line(f"{name} band", seconds, gain)
            for name, gain in zip(BAND_NAMES, gains, strict=True)
        )
        ends = 6 * math.floor(gains.min(initial=0) / 6), 6 * math.ceil(gains.max(initial=1) / 6)
        note = "What the level detector of each band makes of this sound."
        gain = Axis("gain", "dB", *ends)
        return Curve("Gain of the bands over time", time, gain, lines, note=note, timeline=True)

    def _levels(self, settings) -> Curve:
        above, below = self.thresholds(settings)
        level = np.linspace(-80, 0, 321)
        lines = [Line("untouched", level, level, faint=True)]
        for i, name in enumerate(BAND_NAMES):
            detected = level + INPUT_GAIN_DB
            law = np.array([_law_db(x, above[i], below[i], DOWN_SLOPE[i]) for x in detected])
            gain = settings["amount"] / 100 * (INPUT_GAIN_DB + law + OUTPUT_GAIN_DB[i])
            lines.append(Line(f"{name} band", level, level + gain))
        note = "A steady level in each band, at the input of its detector and behind it."
        level_in, level_out = Axis("level in", "dB", -80, 0), Axis("level out", "dB", -80, 12)
        return Curve("Level in, level out", level_in, level_out, tuple(lines), note=note)

    def process(self, audio, sample_rate, settings):
        y, start = np.empty_like(audio), 0
        for bands, gains_db in self.blocks(audio, sample_rate, settings):
            gains_db *= np.float32(math.log(10) / 20)
            gains = np.exp(gains_db, out=gains_db)
            gains *= bands
            gains.sum(0, out=y[start : start + BLOCK])
            start += BLOCK
        return y

    def render_batch(self, audio, settings, smooth=False):
        values = {knob.name: self.lanes(settings, knob.name) for knob in self.knobs}
        above, below = map(np.float32, self.thresholds(values))
        time, amount = values["time"] / 100, np.float32(values["amount"] / 100)
        down, fixed_db = (
            np.float32(DOWN_SLOPE),
            np.float32(OUTPUT_GAIN_DB) + np.float32(INPUT_GAIN_DB),
        )
        attack, release = (
            np.stack([1 - smoothing(tau, time, SAMPLE_RATE) for tau in taus])
            for taus in (ATTACK_S, RELEASE_S)
        )
        filters, detector_gain = self._filters(SAMPLE_RATE), 10 ** (INPUT_GAIN_DB / 10)
        states, env = np.zeros((9, 2, LANES)), np.zeros((3, LANES))
        wet = np.empty_like(audio)
        for start in range(0, len(audio), LANES_BLOCK):
            block = audio[start : start + LANES_BLOCK]
            bands, gains = np.empty((2, 3, *block.shape), np.float32)
            lanes.split(block, *filters, states, *bands)
            for b in range(3):
                lanes.follow(bands[b], detector_gain, attack[b], release[b], env[b], gains[b])
            np.log(gains, out=gains)
            for b in range(3):
                lanes.to_gains(gains[b], above[b], below[b], down[b], fixed_db[b], amount)
            np.exp(gains, out=gains)
            gains *= bands
            gains.sum(0, out=wet[start : start + LANES_BLOCK])
        return wet
