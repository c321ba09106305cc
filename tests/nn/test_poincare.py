"""The ball's blocks: points stay inside, near the origin it is flat, gradients reach all."""

import geoopt
import pytest
import torch

from unmix.nn.poincare import Ball, HyperplaneLogits, MobiusGRUCell, MobiusLinear


def test_cell_keeps_points_inside_the_ball_over_many_steps():
    torch.manual_seed(0)
    manifold = Ball(learnable=True)
    cell = MobiusGRUCell(manifold, 16, 16)
    h = manifold.expmap0(torch.randn(8, 16))
    for _ in range(20):
        h = cell(cell.read(manifold.expmap0(3 * torch.randn(8, 16))), h)
        assert torch.isfinite(h).all()
        assert bool((h.norm(dim=-1) < 1).all())


@pytest.mark.parametrize("curvature", [0.5, 1.0, 2.0])
def test_operations_are_those_of_geoopt(curvature):
    torch.manual_seed(0)
    mine, its = Ball(c=curvature), geoopt.PoincareBall(c=curvature)
    tangents = torch.randn(50, 8) * torch.logspace(-4, 1, 50)[:, None]
    points, others = its.expmap0(tangents), its.expmap0(torch.randn(50, 8))
    for name, arguments in {
        "expmap0": (tangents,),
        "logmap0": (points,),
        "projx": (3 * torch.randn(50, 8),),
        "mobius_add": (points, others),
    }.items():
        expected = getattr(its, name)(*arguments)
        assert torch.allclose(getattr(mine, name)(*arguments), expected, rtol=1e-4, atol=1e-6), name
    layer = MobiusLinear(mine, 8, 5, bias=True)
    torch.nn.init.normal_(layer.bias)
    turned = its.mobius_matvec(layer.weight, points)
    expected = its.mobius_add(turned, its.expmap0(layer.bias))
    assert torch.allclose(layer(points), expected, rtol=1e-4, atol=1e-6)


def test_cell_follows_the_formulas():
    torch.manual_seed(0)
    ball, cell = Ball(), MobiusGRUCell(Ball(), 6, 6)
    x, h = ball.expmap0(torch.randn(4, 6)), ball.expmap0(torch.randn(4, 6))

    def gate(i, state):
        return ball.mobius_add(cell.from_hidden[i](state), cell.from_input[i](x))

    def scale(gate, point):
        return ball.expmap0(gate * ball.logmap0(point))

    reset, update = (torch.sigmoid(ball.logmap0(gate(i, h))) for i in (0, 1))
    step = ball.mobius_add(-h, gate(2, scale(reset, h)))
    expected = ball.mobius_add(h, scale(update, step))
    assert torch.allclose(cell(cell.read(x), h), expected, rtol=1e-4, atol=1e-5)


def test_linear_is_a_matrix_product_near_the_origin():
    torch.manual_seed(0)
    layer = MobiusLinear(Ball(), 6, 4)
    x = 1e-3 * torch.randn(5, 6)
    assert torch.allclose(layer(x), x @ layer.weight.T, rtol=1e-3, atol=1e-8)


def test_logits_change_sign_across_the_hyperplane():
    layer = HyperplaneLogits(Ball(), 3, 1)
    with torch.no_grad():
        layer.normal.copy_(torch.tensor([[1.0, 0, 0]]))
    points = torch.tensor([[0.5, 0.2, 0], [-0.5, 0.2, 0], [0.0, 0.4, 0.1]])
    logits = layer(points)[:, 0].detach()
    assert logits[0] > 0 > logits[1]
    assert abs(float(logits[2])) < 1e-6
    assert torch.allclose(logits[0], -logits[1])


def test_gradient_reaches_every_parameter_and_the_curvature():
    torch.manual_seed(0)
    manifold = Ball(learnable=True)
    cell, leave = MobiusGRUCell(manifold, 4, 4), HyperplaneLogits(manifold, 4, 3)
    point = manifold.expmap0(torch.randn(6, 4))
    leave(cell(cell.read(point), manifold.expmap0(torch.randn(6, 4)))).square().sum().backward()
    for name, parameter in [*cell.named_parameters(), *leave.named_parameters()]:
        assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0, name
