"""The inverse model: valid chains only, normalised posteriors, losses that can be learned."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import SMALL

from unmix import effects
from unmix.chain import MAX_LENGTH, canonical_order
from unmix.data.chains import ChainSampler
from unmix.effects import EffectSet
from unmix.features.spec import GROUPS
from unmix.networks.decoder import CORES, LENGTH_SHARES, ChainDecoder
from unmix.networks.model import PARTS, InverseModel, ModelConfig
from unmix.training.datasets import ChainData
from unmix.training.network import chain_metrics


def valid_orders():
    count = len(effects.names())
    for length in range(min(MAX_LENGTH, count) + 1):
        for order in itertools.permutations(range(count), length):
            names = tuple(effects.names()[i] for i in order)
            if canonical_order(names) == names:
                yield order


@pytest.fixture(scope="module")
def batch():
    sampler = ChainSampler(5, shares={"probe": 1.0})
    data = ChainData.first_of(sampler, 2 * sampler.family_size)
    return data.batch(np.arange(data.count), "cpu")


@pytest.mark.parametrize("geometry", CORES)
def test_probabilities_of_all_valid_chains_sum_to_one(geometry):
    torch.manual_seed(0)
    decoder = ChainDecoder(EffectSet.of(None), 8, 8, geometry)
    orders = list(valid_orders())
    padded = torch.full((len(orders), MAX_LENGTH), -1)
    for row, order in enumerate(orders):
        padded[row, : len(order)] = torch.tensor(order, dtype=torch.long)
    z = torch.randn(1, 8).expand(len(orders), -1)
    assert math.isclose(float(decoder(z, padded).detach().exp().sum()), 1, abs_tol=1e-4)


@pytest.mark.parametrize("geometry", CORES)
def test_wide_beam_finds_the_most_probable_chains(geometry):
    torch.manual_seed(1)
    decoder = ChainDecoder(EffectSet.of(None), 8, 8, geometry)
    z = 3 * torch.randn(8)
    orders = list(valid_orders())
    padded = torch.full((len(orders), MAX_LENGTH), -1)
    for row, order in enumerate(orders):
        padded[row, : len(order)] = torch.tensor(order, dtype=torch.long)
    exact = decoder(z.expand(len(orders), -1), padded)
    found = decoder.beam_search(z, beams=400)
    assert len(found) == len({order for order, _ in found}) <= len(orders)
    assert found[0][0] == orders[int(exact.argmax())]
    assert math.isclose(found[0][1], float(exact.detach().max()), abs_tol=1e-4)


def test_even_lengths_undo_the_shares_of_training():
    torch.manual_seed(3)
    decoder = ChainDecoder(EffectSet.of(None), 24, 16).eval()
    z = torch.randn(24)
    plain, even = (dict(decoder.beam_search(z, 400, even=even)) for even in (False, True))
    assert math.isclose(sum(map(math.exp, even.values())), 1, abs_tol=1e-4)
    one, five = next(o for o in plain if len(o) == 1), next(o for o in plain if len(o) == 5)
    gained = (even[one] - even[five]) - (plain[one] - plain[five])
    assert math.isclose(gained, math.log(LENGTH_SHARES[4] / LENGTH_SHARES[0]), abs_tol=1e-4)


def test_only_a_hidden_source_evens_the_lengths(batch):
    model = InverseModel(SMALL).eval()
    hidden = batch | {"known": torch.zeros_like(batch["known"])}
    for features, even in ((batch, False), (hidden, True)):
        z = model.encoder(model.network_inputs(features)).float()[0]
        orders, log_probs = zip(*model.decoder.beam_search(z, 4, even), strict=True)
        posteriors = model.infer(features, beams=4)[0]
        assert [posterior.order for posterior in posteriors] == list(orders)
        assert [posterior.log_prob for posterior in posteriors] == pytest.approx(
            log_probs, abs=1e-4
        )


def test_losses_fall_on_a_small_batch_and_every_parameter_learns(batch):
    torch.manual_seed(0)
    model = InverseModel(replace(SMALL, dropout=0.0))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    totals = []
    for _ in range(60):
        parts = model.losses(batch)
        total = parts["chain"] + parts["switches"] + 0.1 * parts["knobs"] + parts["guess"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append({name: float(part.detach()) for name, part in parts.items()})
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
    assert totals[-1]["chain"] < 0.5 * totals[0]["chain"]
    assert totals[-1]["knobs"] < totals[0]["knobs"] - 3
    assert totals[-1]["guess"] < 0.7 * totals[0]["guess"]
    model.eval()
    with torch.no_grad():
        figures = chain_metrics(model, batch)
    assert 0 <= figures["top5"] <= 1 and 0 < figures["knob_error"] < 0.5


def test_posterior_describes_each_effect_of_the_chain(batch):
    model = InverseModel(SMALL).eval()
    posteriors = model.infer({name: part[:2] for name, part in batch.items()}, beams=4)
    assert len(posteriors) == 2
    for posterior in posteriors[0]:
        assert set(posterior.mixtures) == set(posterior.names) == set(posterior.switches)
        for name in posterior.names:
            effect = effects.get(name)
            settings = effect.from_unit(
                posterior.mixtures[name].median()[0].tolist(), posterior.switches[name]
            )
            assert effect.panel.complete(settings) == settings


def test_posterior_medians_are_given_chain_and_switches(batch):
    model = InverseModel(SMALL).eval()
    posteriors = [row[0] for row in model.infer(batch, beams=4)]
    found = model.posterior_medians(batch, posteriors)
    assert set(found) == set().union(*(posterior.names for posterior in posteriors))
    for name, medians in found.items():
        own = [b.mixtures[name].median()[0] for b in posteriors if name in b.names]
        assert torch.allclose(medians, torch.stack(own), atol=1e-4), name


def test_hidden_source_and_level_do_not_reach_the_network(batch):
    model = InverseModel(SMALL).eval()
    hidden = batch | {
        "known": torch.zeros_like(batch["known"]),
        "level_known": torch.zeros_like(batch["level_known"]),
    }
    changed = hidden | {
        "source_mel": hidden["source_mel"] + 30,
        "link": hidden["link"] + 0.5,
        "transfer": hidden["transfer"] + 3,
        "source_score": hidden["source_score"] + 30,
        "score_link": hidden["score_link"] + 0.5,
        "source_level": hidden["source_level"] - 10,
        "level": hidden["level"] + 12,
    }
    inputs, others = model.network_inputs(hidden), model.network_inputs(changed)
    for name, values in inputs.items():
        assert torch.equal(values, others[name]), name


def test_inputs_that_are_left_out_count_as_nothing(batch):
    for left_out in GROUPS:
        inputs = tuple(name for name in GROUPS if name != left_out)
        model = InverseModel(replace(SMALL, inputs=inputs))
        inputs = model.network_inputs(batch)
        name = "score_link" if left_out == "score" else left_out
        assert not inputs[name].any()
        assert inputs["mel"].std() > 0.1


def test_parts_do_not_share_a_parameter(batch):
    model = InverseModel(SMALL)
    for part, names in PARTS.items():
        model.zero_grad(set_to_none=True)
        losses = model.losses(batch, (part,))
        sum(losses.values()).backward()
        for name, parameter in model.named_parameters():
            assert (parameter.grad is not None) == (name.split(".")[0] in names), name


def test_configuration_survives_json():
    config = replace(SMALL, geometry="euclidean")
    assert ModelConfig.from_dict({**config.to_dict(), "widths": [16, 16]}) == config
