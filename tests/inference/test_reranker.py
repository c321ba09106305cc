"""The model of the second hearing."""

import pytest
import torch

from unmix.effects import EffectSet
from unmix.inference.order_test import BASES, VIEWS
from unmix.inference.reranker import Reranker
from unmix.inference.residuals import RESIDUALS


def candidates(seed=0):
    generator = torch.Generator().manual_seed(seed)
    errors = torch.randn(2, 4, RESIDUALS, generator=generator)
    order_scores = 2 * torch.rand(2, 4, BASES, VIEWS, generator=generator) - 1
    order = torch.stack(
        [torch.stack([torch.randperm(5, generator=generator) for _ in range(4)]) for _ in range(2)]
    )
    return errors, order_scores, order, torch.randn(2, 4, generator=generator).log_softmax(-1)


def test_untrained_it_says_what_the_network_said():
    *evidence, log_prob = candidates()
    assert torch.allclose(Reranker(EffectSet.of(None))(*evidence, log_prob), log_prob, atol=1e-6)


def test_candidates_may_come_in_any_order():
    model = Reranker(EffectSet.of(None)).eval()
    torch.nn.init.normal_(model.weights.weight, std=0.1)
    torch.nn.init.normal_(model.leaning.weight)
    torch.nn.init.normal_(model.judge[-1].weight, std=0.1)
    given = candidates()
    turned = torch.tensor([2, 0, 3, 1])
    there = model(*given)
    moved = model(*(values[:, turned] for values in given))
    assert torch.allclose(moved, there[:, turned], atol=1e-5)
    assert there.exp().sum(-1).tolist() == pytest.approx([1, 1])


@torch.no_grad()
def test_what_an_error_says_depends_on_the_chain():
    model = Reranker(EffectSet.of(None))
    model.weights.weight[0, 0] = -1.0  # the first error, where the first effect stands first
    errors = torch.zeros(1, 2, RESIDUALS)
    errors[0, 0, 0] = 2.0  # so one above the mean, and one below
    order_scores, log_prob = torch.zeros(1, 2, BASES, VIEWS), torch.zeros(1, 2)
    first = torch.tensor([[[0, 1, -1, -1, -1], [1, 0, -1, -1, -1]]])
    ranked = model(errors, order_scores, first, log_prob)[0]
    assert float(ranked[1] - ranked[0]) == pytest.approx(1.0)  # the second does not mind
    assert float((model(errors, order_scores, first.flip(1), log_prob)[0]).diff()) == pytest.approx(
        1.0
    )
    other = torch.tensor([[[1, 0, -1, -1, -1], [1, 2, -1, -1, -1]]])
    assert model(errors, order_scores, other, log_prob)[0].tolist() == pytest.approx(
        [-0.6931, -0.6931], abs=1e-3
    )


@torch.no_grad()
def test_a_leaning_counts_by_where_it_is_seen_from():
    model = Reranker(EffectSet.of(None))
    model.leaning.weight[0] = torch.arange(BASES * VIEWS) + 1.0
    _, order_scores, order, log_prob = candidates()
    order_scores[:] = 0
    order_scores[:, 1, 1, 0] = 0.5  # from the second of the bases, in the first view
    ranked = model(torch.zeros(2, 4, RESIDUALS), order_scores, order, torch.zeros_like(log_prob))
    weight = VIEWS + 1.0
    assert (ranked[:, 1] - ranked[:, 0]).tolist() == pytest.approx([0.5 * weight] * 2, abs=1e-5)
