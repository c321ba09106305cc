"""Runs the text of a JSFX, and reads REAPER's chain files: what a host would do, for tests."""

from __future__ import annotations

import math
import re
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
from eel2 import Translator
from numba import njit

MEMORY = 1 << 18  # cells
SLIDER = re.compile(r"slider(\d+):(\w+)=([^<]+)<([^,]+),([^,]+),([^>{:]+)([^>]*)>(.*)")
RUNNER = """
@njit(error_model='numpy')
def run(G, M, audio, out, left, right):
    for n in range(audio.shape[1]):
        G[left], G[right] = audio[0, n], audio[1, n]
        section_sample(G, M)
        out[0, n], out[1, n] = G[left], G[right]
"""


class Device:
    """A JSFX with its sliders: {number: (variable, default, low, high, shape, label)}."""

    def __init__(self, text: str, compiled: bool = True):
        header, *parts = re.split(r"^@(\w+)$", text, flags=re.MULTILINE)
        self.description = re.search(r"^desc:(.*)$", header, re.MULTILINE)[1]
        self.sliders = {
            int(number): (name, float(default), float(low), float(high), shape, label)
            for number, name, default, low, high, _, shape, label in SLIDER.findall(header)
        }
        assert len(self.sliders) == header.count("\nslider")
        translator = Translator()
        for host in ("srate", "spl0", "spl1"):
            translator.variable(host)
        for name, code in zip(parts[::2], parts[1::2], strict=True):
            translator.section(name, code)
        self.variables = translator.variables
        scope = {"njit": njit if compiled else _not_compiled, "math": math}
        exec("\n".join(translator.lines) + RUNNER, scope)
        self.init, self.slider = scope["section_init"], scope["section_slider"]
        self.run = scope["run"]

    def render(self, audio: np.ndarray, sample_rate: int, values: dict[int, float]) -> np.ndarray:
        """Audio (2, samples) through a fresh device with sliders at ``values`` (others default)."""
        variables, memory = np.zeros(len(self.variables)), np.zeros(MEMORY)
        at = self.variables
        variables[at["srate"]] = sample_rate
        for number, (name, default, *_) in self.sliders.items():
            if name in at:  # a control that the code never reads would be a fault seen by ear
                variables[at[name]] = values.get(number, default)
        self.init(variables, memory)
        self.slider(variables, memory)
        out = np.empty(audio.shape)
        self.run(variables, memory, audio.astype(np.float64), out, at["spl0"], at["spl1"])
        return out


def _not_compiled(**_):
    """In numba's place: for code that is run once, compiling takes longer than running."""
    return lambda function: function


def read_chain(path: Path) -> list[tuple[str, str, dict[int, float]]]:
    """REAPER's chain file -> for each JSFX: its file, the name shown, {slider number: value}."""
    found, lines = [], path.read_text(encoding="utf-8").splitlines()
    for line, values in pairwise(lines):
        if line.startswith("<JS "):
            _, file, shown = shlex.split(line)
            numbers = {i: float(v) for i, v in enumerate(values.split(), 1) if v != "-"}
            found.append((file, shown, numbers))
    depth = 0
    for line in lines:
        depth += line.startswith("<") - (line == ">")
        assert depth in (0, 1)
    assert depth == 0
    return found
