"""The point estimate of the knobs: its distance, and that it becomes the median."""

import math

import torch

from unmix.networks.heads import PointEstimate


def point_estimate(circular, inputs=3):
    torch.manual_seed(0)
    return PointEstimate(inputs, circular)


@torch.no_grad()
def test_distance_is_nothing_at_the_truth_and_wraps_for_angles():
    head = point_estimate([False, True, False])
    head.weight.zero_()
    head.bias.copy_(torch.tensor([0.2, 0.9, 1.0, 0.0]))
    true = torch.tensor([[0.2, 0.0, 0.9], [0.3, 0.99, 0.7], [0.2, 0.5, 0.9]])
    found = head.distance(torch.ones(3, 3), true)
    assert abs(float(found[0])) < 1e-3
    assert abs(float(found[1]) - 0.3) < 2e-3
    assert abs(float(found[2]) - 0.5) < 1e-3  # half a turn: (1 + 1) / 4


def test_it_begins_in_the_middle():
    assert torch.allclose(
        point_estimate([False, True])(torch.zeros(1, 3))[:, 0], torch.tensor([0.5])
    )


def test_it_learns_the_median_and_the_mean_direction():
    head = point_estimate([False, True], inputs=1)
    optimizer = torch.optim.Adam(head.parameters(), 0.02)
    data = torch.tensor([[0.1, 0.95], [0.3, 0.05], [0.9, 0.0]])
    for _ in range(400):
        optimizer.zero_grad()
        head.distance(torch.ones(3, 1), data).mean().backward()
        optimizer.step()
    with torch.no_grad():
        number, x, y = head(torch.ones(1, 1))[0].tolist()
    assert abs(number - 0.3) < 0.03
    assert abs(math.atan2(y, x) / (2 * math.pi)) < 0.02
