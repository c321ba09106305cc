import numpy as np
import pytest
import torch

from unmix.effects.controls import Knob, Panel, Switch
from unmix.errors import UnmixError

GAIN = Knob("gain", "dB", -12, 12, "linear", 0)
FREQ = Knob("freq", "Hz", 20, 20_000, "log", 200)
PHASE = Knob("phase", "°", 0, 360, "circular", 0)
SHAPE = Switch("shape", ("round", "square", "saw"), "square")
PANEL = Panel((GAIN, FREQ, PHASE), (SHAPE,))


def test_scales_by_hand():
    assert GAIN.to_unit(6) == pytest.approx(0.75)
    assert GAIN.from_unit(0.25) == pytest.approx(-6)
    assert FREQ.to_unit(200) == pytest.approx(1 / 3)  # one decade of three
    assert FREQ.from_unit(2 / 3) == pytest.approx(2_000)
    assert PHASE.to_unit(90) == pytest.approx(0.25)
    assert PHASE.from_unit(0.5) == pytest.approx(180)


@pytest.mark.parametrize("knob", [GAIN, FREQ, PHASE], ids=lambda k: k.name)
def test_round_trip_over_the_range(knob):
    for u in np.linspace(0, 1, 101):
        assert knob.to_unit(knob.from_unit(u)) == pytest.approx(u, abs=1e-12)


@pytest.mark.parametrize("value", [-12.5, 13, 1e9, -(10**400), 2**70])
def test_value_out_of_range_names_the_knob(value):
    with pytest.raises(UnmixError, match=r"gain .*range"):
        GAIN.check(value)


@pytest.mark.parametrize("value", ["3", None, True, float("nan"), float("inf"), [1], 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(UnmixError, match="gain must be a number"):
        GAIN.check(value)


def test_range_message_has_range_and_unit():
    with pytest.raises(UnmixError, match="freq is 30000 Hz; its range is 20 to 20000 Hz"):
        FREQ.check(30_000)


def test_a_float32_overshoot_is_pulled_back_into_the_range():
    assert GAIN.check(np.float32(12) * np.float32(1 + 1e-7)) == 12
    assert FREQ.check(20 - 1e-9) == 20


@pytest.mark.parametrize(
    ("angle", "wrapped"), [(360, 0), (-90, 270), (725, 5), (359.5, 359.5), (-1e-20, 0)]
)
def test_angles_wrap(angle, wrapped):
    value = PHASE.check(angle)
    assert value == pytest.approx(wrapped)
    assert 0 <= value < 360


def test_bad_declarations_fail_at_import_time():
    with pytest.raises(ValueError, match="scale"):
        Knob("x", "", 0, 1, "cubic", 0)
    with pytest.raises(ValueError, match="range"):
        Knob("x", "", 0, 1, "log", 0.5)  # log of 0
    with pytest.raises(ValueError, match="range"):
        Knob("x", "", 0, 1, "linear", 2)
    with pytest.raises(ValueError, match="share a name"):
        Panel((GAIN, GAIN), ())


@pytest.mark.parametrize(
    ("knob", "value", "text"),
    [
        (FREQ, 1_250, "1.25 kHz"),
        (FREQ, 220, "220 Hz"),
        (FREQ, 0.05, "0.05 Hz"),
        (GAIN, 3, "+3.0 dB"),
        (GAIN, -3, "-3.0 dB"),
        (PHASE, 45, "45 °"),
    ],
)
def test_values_as_a_person_reads_them(knob, value, text):
    assert knob.format(value) == text


def test_panel_fills_in_defaults_in_a_fixed_order():
    assert list(PANEL.complete({"shape": "saw", "gain": 3}).items()) == [
        ("gain", 3.0),
        ("freq", 200.0),
        ("phase", 0.0),
        ("shape", "saw"),
    ]


def test_panel_names_what_it_does_not_know():
    with pytest.raises(UnmixError, match=r"no setting 'gian'.*gain, freq, phase, shape"):
        PANEL.complete({"gian": 3})
    with pytest.raises(UnmixError, match=r"shape must be one of round, square, saw, not 'oval'"):
        PANEL.complete({"shape": "oval"})
    with pytest.raises(UnmixError, match="shape"):
        PANEL.complete({"shape": ["round"]})


def test_panel_vectors():
    knobs, switches = PANEL.to_unit({"gain": 6, "freq": 2_000, "phase": 90, "shape": "saw"})
    assert knobs.dtype == np.float32 and switches.dtype == np.int64
    np.testing.assert_allclose(knobs, [0.75, 2 / 3, 0.25], rtol=1e-6)
    assert switches.tolist() == [2]
    settings = PANEL.from_unit(knobs, switches)
    assert settings["shape"] == "saw"
    assert settings["freq"] == pytest.approx(2_000, rel=1e-5)


def test_vectors_beyond_the_range_are_clipped_and_angles_wrapped():
    settings = PANEL.from_unit([1.3, -0.2, 1.25], [0])
    assert (settings["gain"], settings["freq"]) == (12, 20)
    assert settings["phase"] == pytest.approx(90)


@pytest.mark.parametrize("option", [-1, 3])
def test_an_option_number_that_does_not_exist(option):
    with pytest.raises(UnmixError, match="shape has options 0 to 2"):
        PANEL.from_unit([0, 0, 0], [option])


def test_vectors_that_are_no_numbers_or_of_another_length():
    with pytest.raises(UnmixError, match="freq must be a number"):
        PANEL.from_unit([0, np.nan, 0], [0])
    with pytest.raises(ValueError):
        PANEL.from_unit([0, 0], [0])


def test_tensor_views_have_units_and_gradients():
    knobs = torch.tensor([[0.75, 2 / 3, 0.25], [0.5, 0.0, 0.5]], requires_grad=True)
    values = PANEL.values(knobs)
    torch.testing.assert_close(values["gain"], torch.tensor([6.0, 0.0]))
    torch.testing.assert_close(values["freq"], torch.tensor([2_000.0, 20.0]))
    values["freq"][1].backward()
    # d/du of 20 · 1000^u at u = 0 is 20 · ln 1000
    assert knobs.grad[1, 1].item() == pytest.approx(20 * np.log(1_000), rel=1e-5)
    assert PANEL.units(knobs)["phase"].tolist() == [0.25, 0.5]
    assert PANEL.options(torch.tensor([[2], [0]]))["shape"].tolist() == [2, 0]


def test_distance_takes_the_short_way_round_for_angles_only():
    distance = PANEL.distance([0.05, 0.05, 0.05], [0.95, 0.95, 0.95])
    np.testing.assert_allclose(distance, [0.9, 0.9, 0.1], atol=1e-12)
    batch = PANEL.distance(np.zeros((4, 3)), np.full((4, 3), 0.75))
    assert batch.shape == (4, 3)
    np.testing.assert_allclose(batch[:, 2], 0.25)
