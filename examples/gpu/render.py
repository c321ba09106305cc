"""The effects on a GPU: thousands of sounds at once, by the formulas of their ``side_by_side``.

``effects.cu`` becomes a library when it is first wanted, by nvcc; without a GPU by a C++ compiler,
for tests.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch

from unmix import effects
from unmix.audio import SAMPLE_RATE
from unmix.effects import eq, ott, phaser, reverb, saturator

SOURCE = Path(__file__).parent / "effects.cu"
CHUNK, PARAMS = 8, 32  # as in effects.cu
COMPILERS = {
    "cuda": ["nvcc", "-O3", "-arch=native", "-shared", "-Xcompiler", "-fPIC"],
    "cpu": ["g++", "-O3", "-ffast-math", "-x", "c++", "-shared", "-fPIC"],
}


class _Constants(ctypes.Structure):
    """As in effects.cu."""

    _fields_ = (
        ("crossover", ctypes.c_double * 5 * 4),
        ("detector_gain", ctypes.c_double),
        ("down_slope", ctypes.c_float * 3),
        ("fixed_db", ctypes.c_float * 3),
        *((name, ctypes.c_float) for name in ("up_slope", "max_up_db", "half_knee_db")),
        *((name, ctypes.c_float) for name in ("power_floor", "log_span", "lowest_angle")),
        *((name, ctypes.c_float) for name in ("input_gain", "all_pass_gain")),
        ("delays", ctypes.c_int * len(reverb.LINES)),
    )


def _constants() -> _Constants:
    c = _Constants()
    for k, section in enumerate(effects.get("ott")._filters(SAMPLE_RATE)):
        c.crossover[k][:] = section.tolist()
    c.detector_gain = 10 ** (ott.INPUT_GAIN_DB / 10)
    c.down_slope[:] = ott.DOWN_SLOPE
    c.fixed_db[:] = [gain + ott.INPUT_GAIN_DB for gain in ott.OUTPUT_GAIN_DB]
    c.up_slope, c.max_up_db, c.half_knee_db = map(float, ott.LAW)
    c.power_floor = ott.POWER_FLOOR
    low, high = phaser.SWEEP_HZ
    c.log_span, c.lowest_angle = np.log(high / low), np.pi * low / SAMPLE_RATE
    c.input_gain, c.all_pass_gain = reverb.INPUT_GAIN, reverb.ALL_PASS_GAIN
    c.delays[:] = reverb.LINES.tolist()
    return c


@cache
def _library(kind: str) -> ctypes.CDLL:
    """effects.cu for "cuda" or "cpu"."""
    out = Path(tempfile.mkdtemp()) / "effects.so"
    subprocess.run([*COMPILERS[kind], "-o", out, SOURCE], check=True)
    return ctypes.CDLL(out)


# What the settings of each effect become: knobs {name: (N,)} in units, switches {name: (N,)} option
# numbers -> (N, P) numbers


def _of_saturator(knobs, switches):
    drive, output = (10 ** (knobs[name] / 20) for name in ("drive", "output"))
    mix = knobs["dry_wet"] / 100
    return np.stack([drive, mix, mix * output, switches["curve"]], 1)


def _of_eq(knobs, switches):
    choices = {band: np.array(modes) for band, (*_, modes) in eq.BANDS.items() if len(modes) > 1}
    modes = {band: modes[switches[f"mode_{band}"]] for band, modes in choices.items()}
    return eq.sections(knobs, modes).reshape(-1, len(knobs["q_1"])).T


def _of_ott(knobs, switches):
    time, amount = knobs["time"] / 100, knobs["amount"] / 100
    above, below = ott.OTT.thresholds(knobs)
    rates = [
        1 - ott.smoothing(np.array(taus)[:, None], time, SAMPLE_RATE)
        for taus in (ott.ATTACK_S, ott.RELEASE_S)
    ]
    return np.concatenate([amount[None], above, below, *rates]).T


def _of_phaser(knobs, switches):
    turn = np.float32(2 * np.pi)
    start = turn * np.float32(knobs["phase"] / 360 % 1)
    step = turn / np.float32(SAMPLE_RATE / phaser.HOLD) * np.float32(knobs["rate"])
    place = phaser.Phaser._place(knobs["centre"])
    shares = (knobs["depth"] / 200, place, knobs["feedback"] / 100, knobs["dry_wet"] / 100)
    return np.stack([start, step, *shares], 1)


def _of_reverb(knobs, switches):
    room, damping, mix = (knobs[name] / 100 for name in ("room_size", "damping", "dry_wet"))
    smallest, more = reverb.LOOP_GAIN
    scaled = reverb.DAMPING_SCALE * damping, reverb.WET_SCALE * mix
    return np.stack([smallest + more * room, *scaled, 1 - mix], 1)


_PARAMS = {
    "saturator": _of_saturator,
    "eq": _of_eq,
    "ott": _of_ott,
    "phaser": _of_phaser,
    "reverb": _of_reverb,
}
assert saturator.CURVES == ("analog", "soft_sine", "hard", "fold")


def params(name: str, knobs: np.ndarray, switches: np.ndarray) -> np.ndarray:
    """Knobs (N, K) in 0…1 and option numbers (N, S) of an effect -> float32 (N, PARAMS)."""
    panel = effects.get(name).panel
    values = {k.name: k.from_unit(u) for k, u in zip(panel.knobs, knobs.T, strict=True)}
    options = {s.name: o for s, o in zip(panel.switches, switches.T, strict=True)}
    found = _PARAMS[name](values, options)
    numbers = np.zeros((len(found), PARAMS), np.float32)
    numbers[:, : found.shape[1]] = found
    return numbers


class Renderer:
    """Renders rows of one tensor of sounds into others of it.

    Args:
        audio: float32 (rows, samples), samples a multiple of CHUNK, on the device that renders.
    """

    def __init__(self, audio: torch.Tensor):
        if audio.dtype != torch.float32 or not audio.is_contiguous() or audio.shape[1] % CHUNK:
            raise ValueError("audio must be float32 and in one piece, its length a multiple of 8")
        self.audio, self.constants = audio, _constants()
        self.library = _library(audio.device.type)
        if audio.is_cuda:
            self.streams = {name: torch.cuda.Stream() for name in _PARAMS}

    def run(self, jobs: dict[str, tuple]) -> None:
        """One effect on each sound, all side by side.

        Args:
            jobs: {effect: (rows from, rows to, knobs (N, K) in 0…1, option numbers (N, S))}.
        """
        if not self.audio.is_cuda:
            for name, job in jobs.items():
                self._launch(name, *job, stream=None)
            return
        here = torch.cuda.current_stream()
        ready = here.record_event()
        for name, job in jobs.items():
            stream = self.streams[name]
            stream.wait_event(ready)
            with torch.cuda.stream(stream):
                self._launch(name, *job, stream=stream.cuda_stream)
            here.wait_stream(stream)

    def _launch(self, name, rows_from, rows_to, knobs, switches, stream):
        count, device = len(rows_from), self.audio.device
        if count == 0:
            return
        numbers = torch.from_numpy(params(name, knobs, switches)).to(device)
        rows = [torch.from_numpy(np.asarray(r, np.int64)).to(device) for r in (rows_from, rows_to)]
        lines = reverb.LINES_END if name == "reverb" else 0
        scratch = torch.zeros(max(1, lines * count), device=device)
        pointers = [x.data_ptr() for x in (self.audio, *rows, numbers, scratch)]
        error = getattr(self.library, name)(
            *map(ctypes.c_void_p, pointers),
            count,
            self.audio.shape[1],
            ctypes.byref(self.constants),
            ctypes.c_void_p(stream),
        )
        if error:
            raise RuntimeError(f"{name}: CUDA error {error}")
