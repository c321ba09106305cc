"""A small inverse model for the tests, and features as it is asked."""

import torch

from unmix.features.extract import extract
from unmix.networks.model import ModelConfig

SMALL = ModelConfig(
    **{"widths": (16, 16), "size": 32, "hidden": 32, "decoder_hidden": 16, "components": 2},
    **{"score_widths": (16, 16), "knob_score_widths": (16, 16), "sweep_widths": (8, 8, 8)},
    **{"level_widths": (8, 8), "texture_widths": (8, 8, 8)},
)


def features_of(source, recording, hidden=False, level_known=True) -> dict:
    """Features of one recording (samples,), batch 1; with ``hidden`` its source is not told."""
    told = None if hidden else torch.from_numpy(source)[None]
    level = {"level_known": torch.full((1,), float(level_known))}
    return extract(torch.from_numpy(recording)[None], told) | level
