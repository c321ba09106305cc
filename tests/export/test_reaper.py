"""REAPER devices: their text is run by a small EEL2 translator and heard against the real effects.

No REAPER takes part: what these tests cannot see is whether REAPER itself reads EEL2 as
``eel2.py`` does, from Cockos' published reference.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from jsfx import Device, read_chain
from measure import esr_db

from unmix import effects, export, probe
from unmix.chain import Chain
from unmix.errors import UnmixError
from unmix.export import reaper

NAMES = effects.names()
RATE = 44_100


@pytest.fixture(scope="module")
def devices() -> dict[str, Device]:
    return {name: Device(reaper.device_text(effects.get(name))) for name in NAMES}


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """1.1 s of the probe, (2, samples): noise in level steps, a chirp; another level right."""
    signal = np.concatenate([probe()[20_000:46_000], probe()[120_000:142_500]])
    return np.stack([signal, -0.3 * signal[::-1]])


def esr(wet, chain: Chain, sound, rate: int = RATE) -> float:
    return esr_db(wet, chain.render(sound, rate))


def hosted(devices, chain: Chain, sound, tmp_path, rate: int = RATE) -> np.ndarray:
    """Write the chain's file, read it as a host would, and run the devices that it names."""
    export.write(chain, "take", tmp_path, ["reaper"])
    for file, _, values in read_chain(tmp_path / "take.RfxChain"):
        name = file.removeprefix("unmix/").removesuffix(".jsfx")
        assert (tmp_path / file).read_text() == reaper.device_text(effects.get(name))
        sound = devices[name].render(sound, rate, values)
    return sound


@pytest.mark.parametrize("rate", [RATE, 48_000])
@pytest.mark.parametrize("name", NAMES)
def test_a_device_sounds_like_the_effect(devices, sound, tmp_path, name, rate):
    rng = np.random.default_rng(7)
    for _ in range(5):
        chain = Chain([(name, effects.get(name).sample(rng))])
        assert esr(hosted(devices, chain, sound, tmp_path, rate), chain, sound, rate) < -50, chain


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("name", NAMES)
def test_all_knobs_at_an_end(devices, sound, tmp_path, name, end):
    effect = effects.get(name)
    for option in range(max([1, *(len(s.options) for s in effect.switches)])):
        settings = {knob.name: getattr(knob, end) for knob in effect.knobs}
        settings |= {s.name: s.options[option % len(s.options)] for s in effect.switches}
        chain = Chain([(name, settings)])
        assert esr(hosted(devices, chain, sound, tmp_path), chain, sound) < -50, chain


@pytest.mark.parametrize("seed", range(4))
def test_a_chain_of_devices_sounds_like_the_chain(devices, sound, tmp_path, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(NAMES)[: 2 + seed]
    chain = Chain([(name, effects.get(name).sample(rng)) for name in order])
    assert esr(hosted(devices, chain, sound, tmp_path), chain, sound) < -50


def test_the_empty_chain_is_an_empty_file(tmp_path):
    export.write(Chain(), "take", tmp_path, ["reaper"])
    assert read_chain(tmp_path / "take.RfxChain") == []


@pytest.mark.parametrize("name", NAMES)
def test_sliders_are_the_knobs_and_switches(devices, name):
    """Each with its range, default and unit, and none that the code forgets."""
    effect, device = effects.get(name), devices[name]
    assert len(device.sliders) == len(effect.knobs) + len(effect.switches)
    sliders = list(device.sliders.values())
    for knob, slider in zip(effect.knobs, sliders, strict=False):
        variable, default, low, high, _, label = slider
        assert (default, low, high) == (knob.default, knob.low, knob.high)
        assert variable == f"knob_{knob.name}" and variable in device.variables
        assert label == (f"{knob.name} ({knob.unit})" if knob.unit else knob.name)
    for switch, slider in zip(effect.switches, sliders[len(effect.knobs) :], strict=True):
        variable, default, low, high, options, label = slider
        assert (low, high) == (0, len(switch.options) - 1)
        assert switch.options[int(default)] == switch.default
        assert options == "{" + ",".join(switch.options) + "}" and label == switch.name
        assert variable == f"switch_{switch.name}" and variable in device.variables


def test_slider_values_come_back(tmp_path):
    rng = np.random.default_rng(5)
    chain = Chain([(name, effects.get(name).sample(rng)) for name in NAMES])
    export.write(chain, "take", tmp_path, ["reaper"])
    found = []
    for file, _, values in read_chain(tmp_path / "take.RfxChain"):
        effect = effects.get(file.removeprefix("unmix/").removesuffix(".jsfx"))
        values = list(values.values())
        settings = {k.name: v for k, v in zip(effect.knobs, values, strict=False)}
        numbers = values[len(effect.knobs) :]
        settings |= {
            s.name: s.options[int(v)] for s, v in zip(effect.switches, numbers, strict=True)
        }
        found.append((effect.name, settings))
    for (name, written), (read_name, read) in zip(chain.steps, found, strict=True):
        assert name == read_name
        assert read == {
            key: pytest.approx(v, abs=1e-8) if isinstance(v, float) else v
            for key, v in written.items()
        }


def test_an_effect_without_a_device_is_named_and_the_other_formats_are_written(
    tmp_path, monkeypatch
):
    with pytest.raises(UnmixError, match="no REAPER device for harmoniser"):
        reaper.device_code(SimpleNamespace(name="harmoniser"))

    def none(effect):
        raise UnmixError(f"there is no REAPER device for {effect.name}")

    monkeypatch.setattr(reaper, "device_code", none)
    chain = Chain([(NAMES[0], {})])
    with pytest.raises(UnmixError, match=f"not exported as reaper: .*{NAMES[0]}"):
        export.write(chain, "take", tmp_path, ["all"])
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"take.chain.json", "take.chain.py", "take.knobs.txt"}
