"""The SweepReader: what wanders through the score, and how fast, is read from its tracks."""

import math

import torch

from unmix import features
from unmix.features import SAMPLE_RATE, SCORE_FRAMES, SCORE_HOP
from unmix.inverse.readers import SweepReader


def peaks(reader, tracks):
    """(log bin, cosine, sine, log strength) of each track: (B, 4, tracks)."""
    count = tracks.shape[1]
    read = reader.read(tracks)
    assert read.shape == (len(tracks), reader.outputs)
    return read[:, tracks[0].numel() :][:, : 4 * count].unflatten(-1, (4, count))


@torch.no_grad()
def test_rate_and_phase_of_a_sine_stand_at_its_peak():
    reader = SweepReader(tracks=1)
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
    reader = SweepReader(tracks=3)
    wave = torch.sin(torch.arange(SCORE_FRAMES) / 3)
    tracks = torch.stack([wave, 4 * wave, torch.ones(SCORE_FRAMES)])[None]
    one, four, still = peaks(reader, tracks)[0, 3]
    assert abs(float(four - one) - math.log(4) / 4) < 0.01
    assert float(still) < float(one) - 1


def test_a_wandering_notch_can_be_learned():
    """Rates of notches in noise that were not trained on are told apart."""
    torch.manual_seed(0)
    reader = SweepReader(widths=(4, 4, 4), tracks=4, channels=16)
    rate = torch.nn.Linear(reader.outputs, 1)
    parameters = [*reader.parameters(), *rate.parameters()]
    optimizer = torch.optim.AdamW(parameters, 3e-3)
    seconds = torch.arange(SCORE_FRAMES)[:, None] * SCORE_HOP / SAMPLE_RATE
    bands = torch.arange(features.BANDS)

    def batch(count):
        hertz = 0.5 * 8 ** torch.rand(count)
        phase = 2 * math.pi * torch.rand(count, 1, 1)
        place = 48 + 30 * torch.sin(2 * math.pi * hertz[:, None, None] * seconds + phase)
        source = torch.randn(count, SCORE_FRAMES, features.BANDS)
        notch = -2 * torch.exp(-(((bands - place) / 4) ** 2))
        link = torch.zeros(count, features.LINK, SCORE_FRAMES, features.BANDS)
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
