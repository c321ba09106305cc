"""Data sets of a few chains, as gen-data writes them."""

import pytest

from unmix.data.chains import FAMILY, ChainSampler
from unmix.data.generate import generate


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("chains") / "data"
    generate(ChainSampler(3, shares={"probe": 1.0}), 2 * FAMILY, out, workers=1, progress=False)
    return out


@pytest.fixture(scope="module")
def more(tmp_path_factory):
    out = tmp_path_factory.mktemp("more") / "data"
    generate(ChainSampler(4, shares={"probe": 1.0}), FAMILY, out, workers=1, progress=False)
    return out
