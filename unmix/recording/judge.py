"""The judge: how far the render of a chain by the real effects is from a recording."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch

from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.dsp import losses
from unmix.recording.objective import SpectrogramObjective, WaveformObjective

FLOOR_DB = -150.0  # of an ESR: where the render is the recording


class Judge:
    """Compares a recording with renders of its source by the real effects.

    Args:
        recording: float32 (samples,) at 44.1 kHz.
        source: float32, aligned with the recording's end; what it has more is its lead: the
            effects are fed it, so that tails and envelopes are there, and it is not compared.
        match_gain: bring every render to the recording's RMS level first (unknown gain).
        begin_s: where ``source`` begins in the whole source, in seconds. Chains are told for the
            beginning of the whole source; here their LFOs are run on to this time.

    Renders count with either polarity: a cable may turn it, and no effect is known by it alone.
    """

    def __init__(
        self,
        recording: np.ndarray,
        source: np.ndarray,
        match_gain: bool = False,
        begin_s: float = 0.0,
    ):
        self.source, self.match_gain, self.begin_s = source, match_gain, begin_s
        self.target = torch.from_numpy(np.ascontiguousarray(recording))[None]
        self.power = float(self.target.square().mean())
        self.lead = source.size - recording.size
        self.renders, self._last = 0, (None, None)

    @cached_property
    def spectrogram(self) -> SpectrogramObjective:
        return SpectrogramObjective(self.target)

    @cached_property
    def waveform(self) -> WaveformObjective:
        return WaveformObjective(self.target)

    def level(self, output: torch.Tensor) -> torch.Tensor:
        """(B, lead + samples) -> (B, samples): without the lead, at the level and with the polarity
        at which they are compared."""
        output = output[:, self.lead :]
        turned = output @ self.target[0] < 0
        if turned.any():
            output = torch.where(turned[:, None], -output, output)
        if not self.match_gain:
            return output
        power = output.square().mean(-1, keepdim=True).clamp_min(1e-12)
        return output * (self.power / power).sqrt()

    def at_begin(self, chain: Chain) -> Chain:
        """A chain that is told for the beginning of the whole source, as it stands where ``source``
        begins."""
        return chain.at_time(self.begin_s)

    def _output(self, chain: Chain) -> torch.Tensor:
        """(1, lead + samples) by the real effects; asked for one chain again, they do not run."""
        last, output = self._last
        if chain is not last:
            self.renders += 1
            output = torch.from_numpy(self.at_begin(chain).render(self.source, SAMPLE_RATE))[None]
            self._last = chain, output
        return output

    def render(self, chain: Chain) -> torch.Tensor:
        """(1, samples) by the real effects."""
        return self.level(self._output(chain))

    def inverted(self, chain: Chain) -> bool:
        """Whether the recording resembles the render of a chain with inverted polarity."""
        wet = self._output(chain)[:, self.lead :]
        product = float((wet * self.target).sum())
        return product < -0.5 * float(wet.norm() * self.target.norm())

    def distance(self, chain: Chain, sizes: tuple[int, ...] = losses.FFT_SIZES) -> float:
        """MSS between the recording and the real render."""
        return self._distance(self.render(chain), sizes)

    def _distance(self, output: torch.Tensor, sizes: tuple[int, ...]) -> float:
        distance = float(losses.mss(output, self.target, sizes))
        return distance if math.isfinite(distance) else math.inf

    def measures(self, chain: Chain) -> tuple[float, float]:
        """MSS between the recording and the real render, and the cost of the waveform."""
        output = self.render(chain)
        error = float(self.waveform.cost(self.waveform.residuals(output)))
        distance = self._distance(output, losses.FFT_SIZES)
        return distance, error if math.isfinite(error) else math.inf

    def esr_db(self, chain: Chain) -> float:
        """ESR between the recording and the real render, in dB."""
        return losses.esr_db(self.render(chain), self.target, FLOOR_DB)
