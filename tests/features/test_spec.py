"""The table of features against what is extracted, stored and given to the networks."""

import math

import numpy as np
import torch

from unmix.audio import signals
from unmix.features import packing
from unmix.features.extract import extract
from unmix.features.spec import FEATURES
from unmix.networks.inputs import network_inputs

NOISE = torch.from_numpy(signals.fixed("noise"))[None]


def test_every_row_says_what_its_feature_is_like():
    known, unknown = extract(NOISE / 2, NOISE), extract(NOISE / 2, None)
    inputs = network_inputs({**known, "level_known": torch.ones(1)})
    for feature in FEATURES:
        values = known[feature.name]
        assert values.shape == (1, *feature.shape) and values.dtype == torch.float32
        assert bool(unknown[feature.name].any()) != feature.needs_source
        assert math.prod(feature.grid or feature.shape) == math.prod(feature.shape)
        packed = packing.pack({feature.name: values.numpy()})[feature.name]
        assert packed.dtype == (np.int8 if feature.stored else np.float16)
        assert 0.01 < float(inputs[feature.name].square().mean().sqrt()) < 4, feature.name
