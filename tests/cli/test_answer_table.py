"""Tables in 80 columns, whatever the names and the values."""

import dataclasses

import pytest

from unmix.analysis.result import Result
from unmix.chain import Chain
from unmix.cli.tables import answer, effects
from unmix.effects import Effect, registry
from unmix.effects.controls import Knob, Switch

KNOB = "high_frequency_damping_of_the_side"


@pytest.fixture
def chain(monkeypatch):
    """A chain of one effect with a long name, long knobs and large figures."""

    class Widener(Effect):
        name, order, description = "spectral_widener_deluxe", 9, "Widens. " * 20
        knobs = (
            Knob(KNOB, "semitones", -1.2e6, 1.2e6, "linear", 0, "damps " * 20),
            Knob("width", "%", 0, 100, "linear", 50, "width"),
        )
        switches = (Switch("quality", ("linear_phase_with_a_long_name", "b"), "b", "which " * 20),)

    widener = Widener()
    monkeypatch.setattr(registry, "_registry", lambda: {widener.name: widener})
    quality = widener.switches[0].options[0]
    return Chain([(widener.name, {KNOB: -1.1e6, "quality": quality})])


def test_a_result_lines_up(chain):
    name = chain.names[0]
    intervals = {name: {KNOB: (-1_123_456.0, -1_012_345.0), "width": (40.0, 60.0)}}
    distance = {"mss": 1.0, "esr_db": -1.0}
    result = Result(
        chain,
        [(chain, 0.5, 0.1)] * 2,
        {"before": distance, "after": distance},
        intervals,
        "probe",
        notes=["A remark that goes on " * 8],
    )
    text = answer.as_text(result, f"{'folder/' * 20}take.wav")
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80 and "\x1b" not in text
    (head,) = (line for line in lines if line.lstrip().startswith("effect"))
    (width,) = (line for line in lines if "width" in line)
    assert width.index("width") == head.index("setting")
    assert width.index("50 %") + len("50 %") == head.index("value") + len("value")
    assert width.index("40 %") == head.index("90 % interval")
    assert "…" not in text.replace(" … ", "").replace(" …", "")  # nothing is cropped


def test_a_distance_before_is_told_where_there_was_a_search(chain):
    distance = {"before": {"mss": 0.9, "esr_db": -3.0}, "after": {"mss": 0.2, "esr_db": -20.0}}
    result = Result(chain, [(chain, 0.5, 0.2)], distance, {}, "probe")
    assert "prediction" not in answer.as_text(result, "a")
    lines = answer.as_text(dataclasses.replace(result, history=[(1, 0.2)]), "a").splitlines()
    assert lines[-2:] == [
        "  prediction  MSS 0.900  ESR -3.0 dB",
        "  answer      MSS 0.200  ESR -20.0 dB",
    ]


def test_colour_is_for_terminals(chain):
    result = Result(chain, [(chain, 1.0, None)], None, {}, "none", notes=["A remark."])
    assert "\x1b[1m" in answer.as_text(result, "a", colour=True)
    assert "remark" not in answer.as_text(result, "a", notes=False)


def test_controls_with_long_names_are_folded_not_cropped(chain):
    text = effects.as_text([registry.get(chain.names[0])])
    assert max(map(len, text.splitlines())) <= 80
    lines = text.splitlines()
    (width,) = (line for line in lines if line.lstrip().startswith("width"))
    assert "0 … 100" in width and "linear" in width
    assert not [word for word in text.split() if word.endswith("…") and len(word) > 1]
