"""What encoder and heads take in: the features of a batch, scaled, as far as they are known."""

from __future__ import annotations

import torch

from unmix.features.spec import FEATURES, GROUPS, of_group

SCALARS = 4  # level difference, source level, and whether each is known
SPECTROGRAMS = of_group("score")  # log-frequency spectrograms of recording and source; coherence
AMPLITUDES = of_group("amplitudes")  # amplitude histograms of recording and source


def network_inputs(features: dict[str, torch.Tensor], groups=GROUPS) -> dict[str, torch.Tensor]:
    """Features of a batch as the branches take them in: about 1 in size, 0 where not known.

    Args:
        features: as ``features.extract`` gives them (batch B), with ``level_known`` (B,) beside;
            one that no branch takes in may be missing.
        groups: of features that count; the others read 0.

    Returns:
        The features by their names, each of its shape there, and scalars (B, SCALARS).
    """
    known, level_known = features["known"], features["level_known"]
    inputs = {}
    for feature in FEATURES:
        if feature.name not in features:
            continue
        values = feature.scale(features[feature.name])
        if feature.needs_source:
            values = values * known.view(-1, *[1] * (values.ndim - 1))
        inputs[feature.name] = values if feature.group in (None, *groups) else values * 0
    difference = (features["level"] - features["source_level"]) * known * level_known
    inputs["scalars"] = torch.stack(
        [difference / 10, features["source_level"] * known / 20, known, level_known], -1
    )
    return inputs
