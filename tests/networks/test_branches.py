"""Branches of the networks: ModulationBranch gives rate and phase of moving notches, LevelGainBranch
the gain by level, and PooledBranch does not depend on when something happens."""

import math

import torch

from unmix.audio.io import SAMPLE_RATE
from unmix.features import maps, spectra
from unmix.features.spectra import SCORE_FRAMES, SCORE_HOP
from unmix.networks.branches import ModulationBranch
from unmix.networks.relation_branches import LevelGainBranch, PooledBranch


def peaks(reader, tracks):
    """(log bin, cosine, sine, log strength) of each track: (B, 4, tracks)."""
    count = tracks.shape[1]
    read = reader.modulation(tracks)
    assert read.shape == (len(tracks), reader.outputs)
    return read[:, tracks[0].numel() :][:, : 4 * count].unflatten(-1, (4, count))


@torch.no_grad()
def test_rate_and_phase_of_a_sine_stand_at_its_peak():
    reader = ModulationBranch(tracks=1)
    reader.sharpness.fill_(300.0)
    seconds = torch.arange(SCORE_FRAMES) * SCORE_HOP / SAMPLE_RATE
    width = SAMPLE_RATE / SCORE_HOP / reader.LENGTH
    for rate in (0.8, 2.0, 4.5):
        for phase in (0.0, 1.0, 3.0):
            track = torch.cos(2 * math.pi * rate * seconds + phase)[None, None]
            log_bin, cosine, sine, _ = peaks(reader, track)[0, :, 0]
            assert abs(float((2 * log_bin).exp()) * width - rate) < 0.1
            found = math.atan2(float(sine), float(cosine))
            assert abs((found - phase + math.pi) % (2 * math.pi) - math.pi) < 0.5


@torch.no_grad()
def test_strength_follows_the_width_of_the_sweep_and_a_still_track_has_none():
    reader = ModulationBranch(tracks=3)
    wave = torch.sin(torch.arange(SCORE_FRAMES) / 3)
    tracks = torch.stack([wave, 4 * wave, torch.ones(SCORE_FRAMES)])[None]
    one, four, still = peaks(reader, tracks)[0, 3]
    assert abs(float(four - one) - math.log(4) / 4) < 0.01
    assert float(still) < float(one) - 1


def test_a_wandering_notch_can_be_learned():
    """Rates of notches in noise that were not trained on are told apart."""
    torch.manual_seed(0)
    reader = ModulationBranch(widths=(4, 4, 4), tracks=4, channels=16)
    rate = torch.nn.Linear(reader.outputs, 1)
    parameters = [*reader.parameters(), *rate.parameters()]
    optimizer = torch.optim.AdamW(parameters, 3e-3)
    seconds = torch.arange(SCORE_FRAMES)[:, None] * SCORE_HOP / SAMPLE_RATE
    bands = torch.arange(spectra.BANDS)

    def batch(count):
        hertz = 0.5 * 8 ** torch.rand(count)
        phase = 2 * math.pi * torch.rand(count, 1, 1)
        place = 48 + 30 * torch.sin(2 * math.pi * hertz[:, None, None] * seconds + phase)
        source = torch.randn(count, SCORE_FRAMES, spectra.BANDS)
        notch = -2 * torch.exp(-(((bands - place) / 4) ** 2))
        link = torch.zeros(count, maps.LINK, SCORE_FRAMES, spectra.BANDS)
        recording = source + notch + 0.1 * torch.randn_like(source)
        return (recording, source, link), hertz.log()

    def loss(count):
        heard, wanted = batch(count)
        return (rate(reader(*heard))[:, 0] - wanted).abs().mean()

    for _ in range(120):
        optimizer.zero_grad()
        loss(24).backward()
        optimizer.step()
    with torch.no_grad():
        assert float(loss(100)) < 0.3  # a guess of the mean is 0.52 away


def noise(count=2, seed=0):
    """A source, and a recording that has 10 dB more where the source is above -40 dB, else 6 dB
    less; both as ``network_inputs`` gives them, with a link of 0.6 + 0.3j."""
    generator = torch.Generator().manual_seed(seed)
    shape = count, SCORE_FRAMES, spectra.BANDS
    source = 1.5 * torch.rand(shape, generator=generator) - 0.75
    source += source.sign() * 0.25  # nothing near the threshold
    recording = source + torch.where(source > 0, 0.5, -0.3)
    link = torch.tensor([0.6, 0.3])[:, None, None].expand(count, -1, *shape[1:])
    return recording, source, link


def test_levels_tell_the_gain_above_and_below_a_threshold():
    reader = LevelGainBranch()
    share, gain, spread, real, imaginary, size, *_ = reader.by_level(*noise())[0]
    levels = reader.LEVELS
    loud, quiet = share[levels == 0.5], share[levels == 2.5]
    assert float(loud.min()) > float(quiet.max())
    for level, wanted in ((0.5, 0.5), (-0.5, -0.3)):
        assert torch.allclose(gain[levels == level], torch.tensor(wanted), atol=0.05)
        assert float(spread[levels == level].max()) < 0.1
        assert torch.allclose(real[levels == level], torch.tensor(0.6), atol=0.04)
        assert torch.allclose(imaginary[levels == level], torch.tensor(0.3), atol=0.02)
        assert torch.allclose(size[levels == level], torch.tensor(0.45).sqrt(), atol=0.04)
    assert float(gain[levels == 2.5].abs().max()) == 0


def test_levels_do_not_depend_on_when():
    """All but how the gain goes with a rising level, which the order of the frames tells."""
    reader = LevelGainBranch()
    score, source, link = noise()
    order = torch.randperm(SCORE_FRAMES, generator=torch.Generator().manual_seed(1))
    one = reader.by_level(score, source, link)
    other = reader.by_level(score[:, order], source[:, order], link[:, :, order])
    moving = [6, 7, 14, 15]
    still = [i for i in range(reader.CHANNELS) if i not in moving]
    assert torch.allclose(one[:, still], other[:, still], atol=1e-3)
    assert not torch.allclose(one[:, moving], other[:, moving], atol=1e-2)


@torch.no_grad()
def test_a_texture_is_heard_wherever_it_stands():
    """A burst of distortion early or late reads nearly the same, another gain does not."""
    torch.manual_seed(0)
    reader = PooledBranch()

    def heard(start, gain):
        score, source, link = (torch.zeros_like(x) for x in noise(1))
        score[:, start : start + 8, 40:60] = gain
        return reader(score, source, link)

    early, late, weak = heard(16, 2.0), heard(64, 2.0), heard(16, 1.0)
    assert early.shape == (1, reader.outputs)
    assert float((early - late).norm()) < 0.2 * float((early - weak).norm())


def test_related_readers_take_a_hidden_source():
    zero = [torch.zeros_like(x) for x in noise()]
    for reader in (LevelGainBranch(), PooledBranch()):
        assert torch.isfinite(reader(*zero)).all()
