"""What the controls of an effect change: shown where it can be seen, with units."""

import numpy as np
import pytest

from unmix.effects import Effect
from unmix.effects.controls import Knob, Switch
from unmix.report.control_plots import picture
from unmix.report.control_sweep import courses


class Gain(Effect):
    """A level, and a clip with a softness. Outside the package: the registry leaves it alone."""

    name = "gain"
    description = "Gain, for this test."
    knobs = (
        Knob("gain", "dB", 0, 24, "linear", 0, "level"),
        Knob("softness", "%", 0, 100, "linear", 0, "how soft loud sound is clipped"),
    )
    switches = (Switch("clip", ("off", "on"), "off", "whether it clips"),)

    def process(self, audio, sample_rate, settings):
        driven = audio * 10 ** (settings["gain"] / 20)
        if settings["clip"] == "off":
            return driven.astype(np.float32)
        soft = settings["softness"] / 100
        return (soft * np.tanh(driven) + (1 - soft) * np.clip(driven, -1, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def found():
    return courses(Gain())


def test_a_gain_moves_the_level_by_its_range(found):
    gain, _, clip = found
    assert gain.moved == {} and gain.values == [0, 6, 12, 18, 24]
    steps = np.diff([curve.mean() for curve in gain.curves])
    np.testing.assert_allclose(steps, 6, atol=0.1)
    assert clip.values == ["off", "on"]


def test_a_control_that_does_nothing_alone_is_shown_with_another_one(found):
    _, softness, clip = found
    assert softness.moved == {"clip": "on"}
    assert clip.moved == {"gain": 24.0}
    assert np.ptp(clip.curves, axis=0).max() > 10


def test_the_picture_has_a_plot_for_each_control_with_units():
    figure = picture(Gain())
    axes = [axis for axis in figure.axes if axis.axison]
    titles = [axis.get_title(loc="left") for axis in axes]
    assert [title.partition(":")[0] for title in titles] == ["gain", "softness", "clip"]
    labels = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert labels == ["+0.0 dB", "+6.0 dB", "+12.0 dB", "+18.0 dB", "+24.0 dB"]
    assert "clip on" in axes[1].get_legend().get_title().get_text()
