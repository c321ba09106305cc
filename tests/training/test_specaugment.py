"""Masks of the training features: how much they take, where, and from whom."""

import numpy as np
import torch

from unmix.features import maps, nonlinear_coherence, spectra
from unmix.features.amplitude_histogram import AMPLITUDES
from unmix.features.spec import BY_NAME, GROUPS
from unmix.training import specaugment

SHAPES = {
    "mel": (spectra.MELS, spectra.FRAMES),
    "source_mel": (spectra.MELS, spectra.FRAMES),
    "stats": (maps.FRAME_STATS, spectra.FRAMES),
    "link": (maps.LINK * spectra.MELS, maps.LINK_FRAMES),
    "transfer": (maps.TRANSFER, spectra.BANDS),
    "shaped": (nonlinear_coherence.SHAPING, spectra.BANDS),
    "score": (spectra.SCORE_FRAMES, spectra.BANDS),
    "source_score": (spectra.SCORE_FRAMES, spectra.BANDS),
    "score_link": (maps.LINK, spectra.SCORE_FRAMES, spectra.BANDS),
    "amplitudes": (AMPLITUDES,),
    "source_amplitudes": (AMPLITUDES,),
}
COUNT = 400


def masked(share):
    batch = {name: torch.ones(COUNT, *shape) for name, shape in SHAPES.items()}
    torch.manual_seed(0)
    return specaugment.mask(
        {**batch, **dict.fromkeys(("level", "known"), torch.ones(COUNT))}, share
    )


def test_every_input_of_the_network_is_masked_and_nothing_else():
    assert {"mel", *GROUPS} <= set(SHAPES) == set(BY_NAME)
    batch = masked(1.0)
    assert bool((batch["level"] == 1).all())
    for name in SHAPES:
        assert batch[name].shape == (COUNT, *SHAPES[name])
        stored = BY_NAME[name].stored
        silence = stored.zero if stored else 0.0
        assert set(batch[name].unique().tolist()) == {1.0, silence}, name


def test_a_share_of_the_items_is_masked():
    whole = (masked(0.3)["mel"] == 1).flatten(1).all(1)
    assert 0.62 < float(whole.float().mean()) < 0.8


def test_one_stretch_of_time_and_one_of_frequency_are_lost():
    for row in (masked(1.0)["mel"] == 1).numpy():
        times, bands = row.any(0), row.any(1)
        assert np.array_equal(row, bands[:, None] & times[None])
        for kept in (times, bands):
            assert np.count_nonzero(np.diff(kept.astype(int)) < 0) <= 1
            assert (~kept).mean() <= specaugment.WIDEST + 0.02


def test_features_lose_the_same_time_and_both_parts_of_a_coherence_the_same_bands():
    batch = masked(1.0)
    frames = (batch["mel"] == 1).any(1).float().mean(1)
    score = (batch["score"] == 1).any(2).float().mean(1)
    heard = score > 0
    assert float((frames - score)[heard].abs().max()) < 0.03
    real, imaginary = batch["link"].unflatten(1, (maps.LINK, -1)).unbind(1)
    assert torch.equal(real, imaginary)


def test_inputs_are_left_out_as_a_whole():
    batch = masked(1.0)
    lost = {name: ~(batch[name] == 1).flatten(1).any(1) for name in SHAPES}
    assert not bool(lost["mel"].any())
    share = 1 / (len(specaugment.LEFT_OUT) + 1)
    for group in specaugment.LEFT_OUT:
        assert abs(float(lost[group[0]].float().mean()) - share) < 0.06
        assert all(torch.equal(lost[name], lost[group[0]]) for name in group)
