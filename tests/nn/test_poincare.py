"""The ball's blocks: points stay inside, near the origin it is flat, gradients reach all."""

import torch

from unmix.nn.poincare import HyperplaneLogits, MobiusGRUCell, MobiusLinear, ball


def test_cell_keeps_points_inside_the_ball_over_many_steps():
    torch.manual_seed(0)
    manifold = ball()
    cell = MobiusGRUCell(manifold, 16, 16)
    h = manifold.expmap0(torch.randn(8, 16))
    for _ in range(20):
        h = cell(manifold.expmap0(3 * torch.randn(8, 16)), h)
        assert torch.isfinite(h).all()
        assert float(h.norm(dim=-1).max()) < 1


def test_linear_is_a_matrix_product_near_the_origin():
    torch.manual_seed(0)
    layer = MobiusLinear(ball(), 6, 4)
    x = 1e-3 * torch.randn(5, 6)
    assert torch.allclose(layer(x), x @ layer.weight.T, rtol=1e-3, atol=1e-8)


def test_logits_change_sign_across_the_hyperplane():
    layer = HyperplaneLogits(ball(), 3, 1)
    with torch.no_grad():
        layer.normal.copy_(torch.tensor([[1.0, 0, 0]]))
    points = torch.tensor([[0.5, 0.2, 0], [-0.5, 0.2, 0], [0.0, 0.4, 0.1]])
    logits = layer(points)[:, 0]
    assert logits[0] > 0 > logits[1]
    assert abs(float(logits[2])) < 1e-6
    assert torch.allclose(logits[0], -logits[1])


def test_gradient_reaches_every_parameter_and_the_curvature():
    torch.manual_seed(0)
    manifold = ball()
    cell, leave = MobiusGRUCell(manifold, 4, 4), HyperplaneLogits(manifold, 4, 3)
    point = manifold.expmap0(torch.randn(6, 4))
    leave(cell(point, manifold.expmap0(torch.randn(6, 4)))).square().sum().backward()
    for name, parameter in [*cell.named_parameters(), *leave.named_parameters()]:
        assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0, name
