"""The second hearing: what renders say about candidates."""

import dataclasses

import numpy as np
import pytest
import torch
from networks import features_of as hear

from unmix import effects, weights
from unmix.audio import signals
from unmix.chain import Chain
from unmix.effects import EffectSet
from unmix.evaluation.held_out import held_out, knob_errors
from unmix.features import bandwidth
from unmix.inference import rerank as reranking
from unmix.inference import resynthesis
from unmix.inference.bias_correction import correct_bias
from unmix.inference.order_test import BASES, VIEWS, order_scores
from unmix.inference.rerank import rerank
from unmix.inference.reranker import Reranker
from unmix.inference.residuals import CELLS, ON_SPECTROGRAM, RESIDUALS, residual_features
from unmix.networks.posterior import Posterior
from unmix.search.starts import prediction

SETTINGS = [
    ("saturator", {"drive": 20.0}),
    ("eq", {"gain_1": 9.0, "gain_4": -9.0}),
]
TRUE, SWAPPED = Chain(SETTINGS), Chain(SETTINGS[::-1])


@pytest.fixture
def told(monkeypatch):
    """Beliefs that carry their chain, instead of mixtures, and stay."""
    monkeypatch.setattr(
        "unmix.inference.rerank.correct_bias", lambda model, posteriors, *_: posteriors
    )
    nowhere = torch.zeros(2, BASES, VIEWS)
    monkeypatch.setattr("unmix.inference.rerank.order_scores", lambda *_: nowhere)
    for module in ("residuals", "resynthesis"):
        monkeypatch.setattr(
            f"unmix.inference.{module}.median_chains",
            lambda posteriors: [posterior.mixtures for posterior in posteriors],
        )


def posterior(chain: Chain, log_prob: float) -> Posterior:
    order = tuple(effects.names().index(name) for name in chain.names)
    return Posterior(order, log_prob, chain, {}, {}, EffectSet.of(None))


def asked(recording, source, **options):
    return hear(source, recording, **options)


@pytest.fixture(scope="module")
def pair():
    source = signals.probe()
    return TRUE.render(source, 44_100), source


def test_the_true_render_has_no_errors(told, pair):
    recording, source = pair
    found = residual_features(
        [posterior(c, 0.0) for c in (TRUE, SWAPPED)], asked(*pair), recording, source
    )
    assert found.shape == (2, RESIDUALS)
    cells = found[0, : len(ON_SPECTROGRAM) * CELLS].view(-1, CELLS)
    for row, (kind, none) in zip(cells, ON_SPECTROGRAM.items(), strict=True):
        off = (row - np.log(none)).abs()
        # near silence nothing coheres
        assert float(off.quantile(0.25 if kind in ("coherence", "phase") else 1.0)) < 0.02, kind
    whole = slice(len(ON_SPECTROGRAM) * CELLS, len(ON_SPECTROGRAM) * (CELLS + 1))
    assert (found[1, whole] > found[0, whole] + 0.1).all()  # all a tenth larger, or more


def test_the_true_chain_comes_first_though_the_network_doubts_it(told, pair):
    posteriors = [posterior(SWAPPED, -0.1), posterior(TRUE, -2.5)]
    reranker = Reranker(EffectSet.of(None))
    alone = rerank(None, reranker, posteriors, asked(*pair), *pair)
    assert [b.names for b in alone] == [SWAPPED.names, TRUE.names]
    assert [b.log_prob for b in alone] == pytest.approx([-0.1, -2.5], abs=1e-5)
    with torch.no_grad():
        reranker.weights.bias.fill_(-0.01)  # errors count against a candidate
    again = rerank(None, reranker, posteriors, asked(*pair), *pair)
    assert [b.names for b in again] == [TRUE.names, SWAPPED.names]
    total = sum(np.exp(b.log_prob) for b in again)
    assert total == pytest.approx(np.exp(-0.1) + np.exp(-2.5), rel=1e-5)


def test_an_unknown_level_is_no_error(told, pair):
    recording, source = pair
    louder = (2 * recording).astype(np.float32)
    known, unknown = (
        residual_features(
            [posterior(TRUE, 0.0)], hear(source, louder, level_known=known), louder, source
        )[0]
        for known in (True, False)
    )
    assert known[-1] == pytest.approx(np.log(20 * np.log10(2) + 0.01), abs=0.01)
    assert unknown[-1] == pytest.approx(np.log(0.01), abs=1e-4)
    assert known[:-1] == pytest.approx(unknown[:-1].numpy())


def test_a_lead_is_heard_by_the_effects_and_not_compared(told):
    chain = Chain([("reverb", {"dry_wet": 100.0})])
    source = signals.probe()
    lead = 20_000
    recording = chain.render(source, 44_100)[lead:]
    heard = hear(np.pad(source[lead:], (0, lead)), np.pad(recording, (0, lead)))
    posteriors = [posterior(chain, 0.0)]
    with_lead = residual_features(posteriors, heard, recording, source)[0]
    without = residual_features(posteriors, heard, recording, source[lead:])[0]
    cells = len(ON_SPECTROGRAM) * CELLS
    assert with_lead[:cells].mean() < without[:cells].mean() - 0.5
    assert with_lead[0] == pytest.approx(np.log(ON_SPECTROGRAM["level"]), abs=0.02)


def test_a_band_limit_is_given_to_the_renders_too(told, pair):
    recording, source = bandwidth.low_pass(pair[0], 15_000.0), pair[1]
    posteriors, heard = [posterior(TRUE, 0.0)], asked(recording, source)
    limit = resynthesis.band_limit_of(posteriors, recording, source)
    assert limit == pytest.approx(15_000.0, abs=50)
    without, given = (
        residual_features(posteriors, heard, recording, source, hz)[0] for hz in (None, limit)
    )
    level = slice(len(ON_SPECTROGRAM) * CELLS, len(ON_SPECTROGRAM) * CELLS + 3)
    assert (given[level] < without[level] - 1.0).all()


def test_orders_are_padded():
    found = reranking.orders([posterior(TRUE, 0.0), posterior(Chain(), 0.0)])
    numbers = [effects.names().index(name) for name in TRUE.names]
    assert found.tolist() == [[*numbers, -1, -1, -1], [-1] * 5]


@pytest.fixture(scope="module")
def model():
    return weights.load_inverse()


@pytest.mark.parametrize("source", ["probe", "synthetic"])
def test_settled_knobs_are_nearer_to_the_true_ones(model, source):
    sampler, before, after = held_out(9, source, length=2), [], []
    for i in range(8):
        dry, true, recording = sampler.example(i)
        true, heard = true.canonical(), hear(dry, recording)
        every_pair = model.infer(heard, beams=100)[0]
        posteriors = [b for b in every_pair if b.names == true.names]
        settled = correct_bias(model, posteriors, heard, recording, dry)
        every = {name: np.ones(len(effects.get(name).knobs), bool) for name in true.names}
        for (posterior,), errors_ in ((posteriors, before), (settled, after)):
            rows = knob_errors(prediction(posterior).chain, true, every)["knobs"]
            errors_ += [error for _, _, error in rows]
    assert np.mean(after) < 0.93 * np.mean(before)


def test_the_unlikely_stay_as_they_were(model):
    dry, _, recording = held_out(9, "probe", length=2).example(0)
    heard = hear(dry, recording)
    posteriors = model.infer(heard)[0]
    settled = correct_bias(model, posteriors, heard, recording, dry)
    assert [b.names for b in settled] == [b.names for b in posteriors]
    likely = [b.log_prob - posteriors[0].log_prob > np.log(resynthesis.LIKELY) for b in posteriors]
    assert 0 < sum(likely) < len(likely)
    assert [a is not b for a, b in zip(settled, posteriors, strict=True)] == likely


def test_it_leans_to_the_true_order_though_the_knobs_are_off(model):
    sampler, right = held_out(9, "probe", length=2), []
    for i in range(8):
        dry, true, recording = sampler.example(i)
        true, heard = true.canonical().names, hear(dry, recording)
        pairs = [dataclasses.replace(b, log_prob=-1.0) for b in model.infer(heard, beams=100)[0]]
        pairs = [b for b in pairs if len(b.names) == 2]
        same = sorted(
            (b for b in pairs if set(b.names) == set(true)), key=lambda b: b.names != true
        )
        other = next(b for b in pairs if set(b.names) != set(true))
        if len(same) == 1:  # eq and reverb sound the same in any order
            continue
        unlikely = dataclasses.replace(same[0], log_prob=-9.0)
        found = order_scores([*same, other, unlikely], heard, recording, dry)
        assert found.shape == (4, BASES, VIEWS) and not found[2:].any()
        assert not found[0, 0].any() and not found[1, 1].any()  # to itself
        right += [*(found[1, 0] < 0).tolist(), *(found[0, 1] > 0).tolist()]
    assert np.mean(right) > 0.75


def test_one_that_stands_alone_is_not_asked(model):
    dry, _, recording = held_out(9, "probe", length=1).example(0)
    heard = hear(dry, recording)
    posteriors = model.infer(heard)[0]
    assert not order_scores(posteriors[:1], heard, recording, dry).any()
