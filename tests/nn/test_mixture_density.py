"""The mixture density: densities integrate to one, samples follow them, angles wrap."""

import math

import torch

from unmix.nn.mixture_density import Mixture, MixtureDensity, from_normal, to_normal

CIRCULAR = [False, True]


def head(components=3, circular=CIRCULAR, spread=0.6):
    torch.manual_seed(0)
    module = MixtureDensity(8, circular, components)
    torch.nn.init.normal_(module.project.weight, std=spread)
    with torch.no_grad():  # narrow enough to lie within the edges
        scales = module.project.bias.view(components, -1)[:, 1 + module.numbers :]
        scales[:, : module.numbers] = 1.5
    return module


@torch.no_grad()
def test_density_integrates_to_one_over_numbers_and_angles():
    v = torch.linspace(-3.09, 3.09, 400)  # the span that to_normal's edges leave
    grid = torch.cartesian_prod(from_normal(v), torch.arange(200) / 200)
    mixture = head(spread=0.2)(torch.randn(1, 8).expand(len(grid), -1))
    cell = float(v[1] - v[0]) * 2 * math.pi / 200
    density = mixture.log_prob(grid).exp().sum().detach() * cell
    assert 0.95 < float(density) < 1.01  # what lies beyond the edges is missing


@torch.no_grad()
def test_samples_have_the_correlation_that_the_precision_says():
    mixture = head(components=1, circular=[False, False], spread=0.2)(torch.randn(1, 8))
    samples = to_normal(mixture.sample(40_000, torch.Generator().manual_seed(1))[:, 0])
    lower = mixture.precision[0, 0]
    covariance = torch.linalg.inv(lower @ lower.T)
    measured = torch.cov(samples.T)
    assert torch.allclose(measured, covariance, rtol=0.1, atol=0.01)
    assert torch.allclose(samples.mean(0), mixture.mean[0, 0], atol=0.02)


@torch.no_grad()
def test_angle_density_is_periodic_and_samples_stay_in_range():
    mixture = head()(torch.randn(1, 8))
    a = mixture.log_prob(torch.tensor([[0.3, 0.0]]))
    b = mixture.log_prob(torch.tensor([[0.3, 1.0]]))
    assert torch.allclose(a, b, atol=1e-4)
    samples = mixture.sample(1000)
    assert float(samples.min()) >= 0 and float(samples.max()) <= 1


@torch.no_grad()
def test_median_is_that_of_many_samples_and_an_angle_the_mean_direction():
    mixture = head(circular=[False, True, False])(torch.randn(5, 8))
    samples = mixture.sample(40_000, torch.Generator().manual_seed(1))
    found = mixture.median()
    assert torch.allclose(found[:, 0], samples[..., 0].median(0).values, atol=0.01)
    assert torch.allclose(found[:, 2], samples[..., 2].median(0).values, atol=0.01)
    turns = 2 * math.pi * samples[..., 1]
    mean = torch.atan2(turns.sin().mean(0), turns.cos().mean(0)) / (2 * math.pi)
    assert torch.allclose((found[:, 1] - mean + 0.5) % 1, torch.full((5,), 0.5), atol=0.02)


@torch.no_grad()
def test_median_of_an_effect_without_knobs_or_without_angles():
    for circular in ([False], [True], []):
        assert head(circular=circular)(torch.randn(2, 8)).median().shape == (2, len(circular))


def test_fitting_recovers_a_knob_and_an_angle_across_the_wrap():
    module = head(components=2, spread=0.2)
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    torch.manual_seed(0)
    context = torch.ones(256, 8)
    data = torch.stack([0.8 + 0.02 * torch.randn(256), (0.05 * torch.randn(256)) % 1.0], 1)
    for _ in range(500):
        optimizer.zero_grad()
        loss = -module(context).log_prob(data).mean()
        loss.backward()
        optimizer.step()
    u = module(context[:1]).centre()[0].detach()
    assert abs(float(u[0]) - 0.8) < 0.02
    assert min(float(u[1]), 1 - float(u[1])) < 0.02


@torch.no_grad()
def test_a_mixture_moves_as_a_whole_number_by_number_and_round_the_circle():
    mixture = head(circular=[False, True, False])(torch.randn(4, 8))
    start, by = torch.rand(4, 3), torch.tensor([0.3, 0.4, -0.2])
    moved, u = mixture.moved(start, start + by), torch.rand(4, 3) * 0.6 + 0.2
    there = torch.stack(
        [
            from_normal(to_normal(u[:, 0]) + 0.3),
            (u[:, 1] + 0.4) % 1.0,
            from_normal(to_normal(u[:, 2]) - 0.2),
        ],
        1,
    )
    assert torch.allclose(moved.log_prob(there), mixture.log_prob(u), atol=1e-3)
    turned = (moved.median() - mixture.median())[:, 1] % 1.0
    assert torch.allclose(turned, torch.full((4,), 0.4), atol=1e-4)


@torch.no_grad()
def test_a_mixture_narrows_about_its_median():
    mixture = head(components=1, spread=0.2)(torch.randn(4, 8))
    mixture.concentration += 50.0
    middle = mixture.median()
    start = torch.stack([to_normal(middle[:, 0]), middle[:, 1]], 1)
    narrow = mixture.moved(start, start, 0.5)
    assert torch.allclose(narrow.median(), middle, atol=1e-4)
    wide, narrow = (m.sample(20_000, torch.Generator().manual_seed(0)) for m in (mixture, narrow))
    spread = [to_normal(u[..., 0]).std(0) for u in (wide, narrow)]
    assert torch.allclose(spread[1] / spread[0], torch.full((4,), 0.5), atol=0.02)
    turns = [((u[..., 1] - middle[:, 1] + 0.5) % 1.0 - 0.5).std(0) for u in (wide, narrow)]
    assert torch.allclose(turns[1] / turns[0], torch.full((4,), 0.5), atol=0.02)


@torch.no_grad()
def test_parts_joined_are_the_whole():
    mixture, u = head()(torch.randn(3, 8)), torch.rand(3, 2)
    parts = mixture.parts()
    assert [part.log_prob(row[None]).item() for part, row in zip(parts, u, strict=True)] == (
        mixture.log_prob(u).tolist()
    )
    assert torch.equal(Mixture.joined(parts).log_prob(u), mixture.log_prob(u))
