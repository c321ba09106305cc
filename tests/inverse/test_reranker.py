"""The model of the second hearing."""

import pytest
import torch

from unmix.inverse.reranker import Reranker
from unmix.second_hearing import ERRORS


def candidates(seed=0):
    generator = torch.Generator().manual_seed(seed)
    errors = torch.randn(2, 4, ERRORS, generator=generator)
    order = torch.stack(
        [torch.stack([torch.randperm(5, generator=generator) for _ in range(4)]) for _ in range(2)]
    )
    return errors, order, torch.randn(2, 4, generator=generator).log_softmax(-1)


def test_untrained_it_says_what_the_network_said():
    errors, order, log_prob = candidates()
    assert torch.allclose(Reranker()(errors, order, log_prob), log_prob, atol=1e-6)


def test_candidates_may_come_in_any_order():
    model = Reranker().eval()
    torch.nn.init.normal_(model.weights.weight, std=0.1)
    torch.nn.init.normal_(model.judge[-1].weight, std=0.1)
    errors, order, log_prob = candidates()
    turned = torch.tensor([2, 0, 3, 1])
    there = model(errors, order, log_prob)
    moved = model(errors[:, turned], order[:, turned], log_prob[:, turned])
    assert torch.allclose(moved, there[:, turned], atol=1e-5)
    assert there.exp().sum(-1).tolist() == pytest.approx([1, 1])


@torch.no_grad()
def test_what_an_error_says_depends_on_the_chain():
    model = Reranker()
    model.weights.weight[0, 0] = -1.0  # the first error, where the first effect stands first
    errors = torch.zeros(1, 2, ERRORS)
    errors[0, 0, 0] = 2.0  # so one above the mean, and one below
    log_prob = torch.zeros(1, 2)
    first = torch.tensor([[[0, 1, -1, -1, -1], [1, 0, -1, -1, -1]]])
    ranked = model(errors, first, log_prob)[0]
    assert float(ranked[1] - ranked[0]) == pytest.approx(1.0)  # the second does not mind
    assert float((model(errors, first.flip(1), log_prob)[0]).diff()) == pytest.approx(1.0)
    other = torch.tensor([[[1, 0, -1, -1, -1], [1, 2, -1, -1, -1]]])
    assert model(errors, other, log_prob)[0].tolist() == pytest.approx([-0.6931, -0.6931], abs=1e-3)
