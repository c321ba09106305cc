"""A small inverse model for the tests."""

from unmix.networks.model import ModelConfig

SMALL = ModelConfig(
    **{"widths": (16, 16), "size": 32, "hidden": 32, "decoder_hidden": 16, "components": 2},
    **{"score_widths": (16, 16), "knob_score_widths": (16, 16), "sweep_widths": (8, 8, 8)},
    **{"level_widths": (8, 8), "texture_widths": (8, 8, 8)},
)
