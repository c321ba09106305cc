"""Samplers: every item fixed by seed and number, labels true to the sound, effects audible."""

import numpy as np
import pytest

from unmix import effects
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import MAX_LENGTH, Chain, canonical_order
from unmix.data.chains import AUDIBLE_MSS, FAMILY, ChainOptions, ChainSampler, audible
from unmix.data.pairs import PairSampler
from unmix.errors import UnmixError

PROBE_ONLY = {"probe": 1.0}


def test_pairs_are_what_the_real_effect_makes():
    for name in effects.names():
        sampler = PairSampler(name, seed=3, seconds=0.3)
        item = sampler.item(4)
        settings = effects.get(name).from_unit(item["knobs"], item["switches"])
        wet = effects.get(name).render(item["dry"], SAMPLE_RATE, settings)
        error = np.sum((wet - item["wet"]) ** 2) / np.sum(item["wet"] ** 2)
        assert error < 1e-6, name  # knobs are stored in single precision
        again = PairSampler(name, seed=3, seconds=0.3).item(4)
        assert all(np.array_equal(item[k], again[k]) for k in item)
        assert not np.array_equal(sampler.item(5)["dry"], item["dry"])


def test_chain_items_are_fixed_by_seed_and_number():
    one, other = ChainSampler(1, PROBE_ONLY), ChainSampler(1, PROBE_ONLY)
    a, b = one.item(FAMILY + 2), other.family(1)[2]
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[key], b[key]) for key in a)
    assert not np.array_equal(a["mel"], ChainSampler(2, PROBE_ONLY).item(FAMILY + 2)["mel"])


def test_family_holds_the_beginnings_of_one_chain_and_their_order_swapped_negatives():
    sampler = ChainSampler(1, PROBE_ONLY, ChainOptions(degraded=0.0))
    for family in range(3):
        source, pairs = sampler.audio_family(family)
        assert len(pairs) == sampler.family_size
        longest = pairs[MAX_LENGTH - 1][0]
        for chain, recording in pairs[:MAX_LENGTH]:
            assert chain.names == longest.names[: len(chain.names)]
            assert np.allclose(chain.render(source, SAMPLE_RATE), recording, atol=1e-6)
        for n, (chain, recording) in enumerate(pairs[MAX_LENGTH:], 2):
            moved = [k for k in range(n) if chain.steps[k] != longest.steps[k]]
            if chain.names == longest.names[:n]:
                assert moved == [n - 1]  # the last effect was drawn anew
            else:
                k, after = moved
                assert after == k + 1 and chain.steps[k] == longest.steps[after]
                assert chain.steps[after] == longest.steps[k]
                assert canonical_order(chain.names) != canonical_order(longest.names[:n])
            assert np.allclose(chain.render(source, SAMPLE_RATE), recording, atol=1e-6)


def test_every_effect_of_an_independent_chain_is_audible():
    sampler = ChainSampler(11, PROBE_ONLY, ChainOptions(degraded=0.0, independent=True))
    for i in range(5):
        source, chain, recording = sampler.example(i)
        assert len(chain.names) == 1 + i
        assert canonical_order(chain.names) == chain.names
        for left_out in range(len(chain.steps)):
            rest = Chain([s for k, s in enumerate(chain.steps) if k != left_out])
            assert audible(recording, rest.render(source, SAMPLE_RATE)), (i, left_out)


def test_audible_knows_a_tenth_of_a_decibel_from_three():
    x = np.random.default_rng(0).uniform(-0.5, 0.5, SAMPLE_RATE).astype(np.float32)
    assert not audible(x * np.float32(10 ** (0.1 / 20)), x)
    assert audible(x * np.float32(10 ** (3 / 20)), x)
    assert 0 < AUDIBLE_MSS < 1


def test_testing_and_training_streams_differ():
    train = ChainSampler(1, PROBE_ONLY).audio_family(0)[1][0][0]
    test = ChainSampler(1, PROBE_ONLY, ChainOptions(independent=True)).example(0)[1]
    assert train != test


def test_unknown_names_are_told():
    with pytest.raises(UnmixError, match="no source 'prob'"):
        ChainSampler(1, {"prob": 1.0})
    with pytest.raises(UnmixError, match="no degradation 'nose'"):
        ChainSampler(1, options=ChainOptions(degradation="nose"))
    with pytest.raises(UnmixError, match="no effect"):
        PairSampler("flanger", 1)
