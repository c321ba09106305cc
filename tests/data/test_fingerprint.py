"""A data set's fingerprint changes with all that decides its items, and with nothing else."""

import json
import types

import numpy as np
import pytest

from unmix import effects
from unmix.audio import signals, synthetic
from unmix.data import chains, degradation, fingerprint, pairs, sampler
from unmix.data.chains import ChainOptions, ChainSampler
from unmix.data.generate import generate
from unmix.data.pairs import PairSampler
from unmix.data.reader import read_manifest
from unmix.effects.controls import Knob, Panel, Switch
from unmix.errors import UnmixError
from unmix.features import spec


def both() -> list[str]:
    return [ChainSampler(1).fingerprint, PairSampler("eq", 1).fingerprint]


CONSTANTS = [  # module, name, another value, whether it decides chains, and pairs
    (sampler, "PEAK_RANGE_DB", (-30.0, 3.0), True, False),
    (chains, "AUDIBLE_MSS", 0.2, True, False),
    (chains, "AUDIBLE_SIZES", (512,), True, False),
    (chains, "DRAWS", 3, True, False),
    (chains, "EMPTY_SHARE", 0.1, True, False),
    (chains, "FAMILY", 7, True, False),
    (chains, "SOURCE_SHARES", {"probe": 0.5, "synthetic": 0.5}, True, False),
    (degradation, "GAIN_DB", 6.0, True, False),
    (degradation, "LATENCY_S", 0.1, True, False),
    (degradation, "NOISE_DB", (30.0, 60.0), True, False),
    (degradation, "BAND_LIMIT_HZ", (12_000.0, 20_000.0), True, False),
    (degradation, "OTHER_RATE", 32_000, True, False),
    (degradation, "TRAINING_SHARES", {"noise": 1.0}, True, False),
    (spec, "VERSION", 99, True, False),
    (pairs, "QUIET_SHARE", 0.5, False, True),
    (pairs, "QUIET_RANGE_DB", (-20.0, 0.0), False, True),
    (signals, "PROBE_VERSION", "probe-2", True, True),
    (signals, "FIXED_KINDS", ("probe", "noise"), True, True),
    (synthetic, "VERSION", 99, True, True),
]


@pytest.mark.parametrize(
    ("module", "name", "value", "of_chains", "of_pairs"),
    CONSTANTS,
    ids=[f"{module.__name__.rpartition('.')[2]}.{name}" for module, name, *_ in CONSTANTS],
)
def test_each_constant_that_decides_items_is_in(
    monkeypatch, module, name, value, of_chains, of_pairs
):
    before = both()
    monkeypatch.setattr(module, name, value)
    changed = [now != then for now, then in zip(both(), before, strict=True)]
    assert changed == [of_chains, of_pairs]


def test_the_samples_of_the_probe_are_in(monkeypatch):
    before = both()
    louder = types.SimpleNamespace(tobytes=lambda: b"another probe")
    monkeypatch.setattr(signals, "fixed", lambda kind: louder)
    fingerprint._samples_digest.cache_clear()
    try:
        assert all(now != then for now, then in zip(both(), before, strict=True))
    finally:
        fingerprint._samples_digest.cache_clear()


KNOB = {"unit": "%", "low": 0, "high": 100, "scale": "linear", "default": 50}
OTHER = {"unit": "dB", "low": -1, "high": 99, "scale": "circular", "default": 51}


def panel(knobs, switch) -> Panel:
    return Panel([Knob(name, **values) for name, values in knobs.items()], [switch])


def test_each_effects_controls_are_in(monkeypatch):
    eq, switch = effects.get("eq"), Switch("mode", ("soft", "hard"), "soft")
    variants = [
        panel({"mix": KNOB, "tone": KNOB}, switch),
        panel({"tone": KNOB, "mix": KNOB}, switch),
        panel({"mix": KNOB, "colour": KNOB}, switch),
        *(panel({"mix": KNOB | {key: OTHER[key]}, "tone": KNOB}, switch) for key in OTHER),
        panel({"mix": KNOB, "tone": KNOB}, Switch("mode", ("soft", "hard", "fold"), "soft")),
        panel({"mix": KNOB, "tone": KNOB}, Switch("mode", ("hard", "soft"), "soft")),
        panel({"mix": KNOB, "tone": KNOB}, Switch("mode", ("soft", "hard"), "hard")),
    ]
    found = []
    for variant in variants:
        monkeypatch.setattr(eq, "panel", variant)
        found += both()
    assert len(set(found)) == 2 * len(variants)


def test_each_effects_constants_are_in(monkeypatch):
    from unmix.effects.reverb import device

    before = ChainSampler(1).fingerprint, PairSampler("reverb", 1).fingerprint
    monkeypatch.setattr(device, "INPUT_GAIN", 0.02)
    assert ChainSampler(1).fingerprint != before[0]
    assert PairSampler("reverb", 1).fingerprint != before[1]


def test_the_version_of_the_program_and_a_description_are_not_in(monkeypatch):
    before = both()
    monkeypatch.setattr(fingerprint, "version", lambda package: "99.0")
    knob = effects.get("eq").panel.knobs[0]
    monkeypatch.setitem(vars(knob), "description", "in other words")
    assert both() == before


def test_what_differs_is_told_and_nothing_is_mixed(tmp_path, monkeypatch):
    generate(PairSampler("saturator", 1, 0.1), 2, tmp_path, workers=1)
    before = (tmp_path / "shard-00000.safetensors").read_bytes()
    monkeypatch.setattr(pairs, "QUIET_SHARE", 0.4)
    with pytest.raises(UnmixError, match=r"holds data of quiet_share 0\.3, not 0\.4; use another"):
        generate(PairSampler("saturator", 1, 0.1), 4, tmp_path, workers=1)
    assert (tmp_path / "shard-00000.safetensors").read_bytes() == before


def test_differences_name_the_control_and_are_few():
    old = {"controls": {"eq": [{"name": "q", "high": 9}, {"name": "gain", "high": 15}]}, "seed": 1}
    new = {"controls": {"eq": [{"name": "q", "high": 10}, {"name": "gain", "high": 15}]}, "seed": 1}
    assert fingerprint.differences(old, new) == "controls.eq.q.high 9, not 10"
    assert fingerprint.differences({}, new) == "unknown controls, unknown seed"
    many = {key: 1 for key in "abcde"}
    text = fingerprint.differences(many, {key: 2 for key in "abcde"})
    assert text == "a 1, not 2, b 1, not 2, c 1, not 2, and 2 more"


def test_a_sampler_comes_back_from_a_manifest(tmp_path):
    """Manifests sort their keys; the shares' order must not decide anything."""
    made = ChainSampler(5, options=ChainOptions(degraded=0.5, effects=("saturator", "eq")))
    generate(made, 1, tmp_path, workers=1)
    config = read_manifest(tmp_path)["config"]
    assert list(config["shares"]) != list(made.config["shares"])
    again = ChainSampler.from_config(config)
    assert again.config == config and again.fingerprint == made.fingerprint
    for family in range(4):
        (a, first), (b, second) = (one.audio_family(family) for one in (made, again))
        assert np.array_equal(a, b) and [c for c, _ in first] == [c for c, _ in second]
    assert json.loads(json.dumps(made.config)) == made.config
