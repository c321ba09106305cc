"""GaussNewton points for the tests: of a recording of the probe through a known chain."""

import numpy as np

from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.recording.judge import Judge
from unmix.search.gauss_newton import GaussNewton
from unmix.search.point import InitialPoint

PROBE = signals.probe()


def fitting(true, *chains, source=PROBE, **options):
    """A point on a recording of the source through ``true``, at the nearest of the ``chains``."""
    judge = Judge(true.render(source, SAMPLE_RATE), source, **options)
    return GaussNewton(judge, [InitialPoint(chain) for chain in chains], np.random.default_rng(0))


def moved(chain, effect, **settings):
    """The chain with other settings of one effect."""
    return Chain((n, s | settings if n == effect else s) for n, s in chain.steps)
