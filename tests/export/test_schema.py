"""The published schemas accept what unmix writes and refuse what it refuses to read."""

import copy
import json

import jsonschema
import numpy as np
import pytest

from unmix import effects
from unmix.analysis.result import Result
from unmix.chain import Chain
from unmix.cli import batch
from unmix.cli.inputs import Recording
from unmix.errors import UnmixError
from unmix.export import schema

NAMES = effects.names()
KNOB = next(k for n in NAMES for k in effects.get(n).knobs if not k.circular)
OWNER = next(n for n in NAMES if KNOB in effects.get(n).knobs)
SWITCHED = next(n for n in NAMES if effects.get(n).switches)
SWITCH = effects.get(SWITCHED).switches[0]


def validator(document: dict) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


CHAINS, RESULTS = validator(schema.chain_schema()), validator(schema.result_schema())


def steps(*chain) -> dict:
    return {"format": "unmix-chain", "version": 1, "chain": list(chain)}


@pytest.mark.parametrize("seed", range(20))
def test_every_chain_that_is_written_is_valid(seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(NAMES)[: rng.integers(len(NAMES) + 1)]
    chain = Chain([(name, effects.get(name).sample(rng)) for name in order])
    CHAINS.validate(json.loads(chain.to_json()))


@pytest.mark.parametrize("end", ["low", "high"])
def test_the_ends_of_all_ranges_are_valid(end):
    chain = [(n, {k.name: getattr(k, end) for k in effects.get(n).knobs}) for n in NAMES]
    document = steps(*({"effect": n, "settings": s} for n, s in chain))
    CHAINS.validate(document)
    Chain.from_json(json.dumps(document))


@pytest.mark.parametrize("document", [steps(), steps({"effect": OWNER}), steps() | {"by": "me"}])
def test_what_may_be_left_out_or_added(document):
    CHAINS.validate(document)
    Chain.from_json(json.dumps(document))


def setting(effect, **settings) -> dict:
    return steps({"effect": effect, "settings": settings})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], '"format" must be'),
        ({"format": "other", "version": 1, "chain": []}, '"format" must be'),
        ({"format": "unmix-chain", "version": 2, "chain": []}, "version 2"),
        ({"format": "unmix-chain", "version": 1}, 'a list under "chain"'),
        ({"format": "unmix-chain", "version": 1, "chain": {}}, 'a list under "chain"'),
        (steps({"effect": OWNER}, 5), "step 2 must look like"),
        (steps({"effect": OWNER, "settings": []}), "step 1 must look like"),
        (steps({"settings": {}}), "step 1 has the key"),
        (steps({"effect": OWNER, "on": True}), "step 1 has the key"),
        (steps({"effect": "harmoniser"}), "no effect 'harmoniser'"),
        (steps({"effect": 3}), "no effect 3"),
        (steps({"effect": OWNER}, {"effect": OWNER}), f"{OWNER} appears twice"),
        (setting(OWNER, colour=3), f"{OWNER}: no setting 'colour'"),
        (setting(OWNER, **{KNOB.name: KNOB.high + 1}), f"{OWNER}: {KNOB.name} is "),
        (setting(OWNER, **{KNOB.name: KNOB.low - 1}), f"{OWNER}: {KNOB.name} is "),
        (setting(OWNER, **{KNOB.name: "12"}), f"{OWNER}: {KNOB.name} must be a number"),
        (setting(OWNER, **{KNOB.name: True}), f"{OWNER}: {KNOB.name} must be a number"),
        (setting(OWNER, **{KNOB.name: None}), f"{OWNER}: {KNOB.name} must be a number"),
        (setting(SWITCHED, **{SWITCH.name: "loud"}), f"{SWITCHED}: {SWITCH.name} must be one of"),
        (setting(SWITCHED, **{SWITCH.name: 0}), f"{SWITCHED}: {SWITCH.name} must be one of"),
    ],
)
def test_a_bad_chain_is_refused_by_both_and_the_fault_is_named(document, message):
    assert not CHAINS.is_valid(document)
    with pytest.raises(UnmixError) as caught:
        Chain.from_json(json.dumps(document))
    assert message in str(caught.value)


def result() -> Result:
    chain = Chain([(OWNER, {})])
    return Result(
        chain,
        [(chain, 0.5, 0.1), (Chain(), None, None)],
        {"before": {"mss": 1.0, "esr_db": -3.0}, "after": {"mss": 0.1, "esr_db": -30.0}},
        {OWNER: {KNOB.name: (KNOB.low, KNOB.high)}},
        "probe",
        undetermined={OWNER: [KNOB.name]},
        gain_db=None,
        notes=["A remark."],
        history=[(1, 0.5), (2, 0.1)],
    )


def test_results_are_valid_as_they_are_written(tmp_path):
    batch.save(result(), "take", tmp_path, {"file": "take.wav"} | result().to_dict())
    RESULTS.validate(json.loads((tmp_path / "take.result.json").read_text(encoding="utf-8")))
    blind = Result(Chain(), [(Chain(), 1.0, None)], None, {}, "none")
    entries = [
        {"file": "a.wav"} | result().to_dict(),
        {"file": "b.wav", "error": "torn"},
        {"file": "c.wav"} | blind.to_dict(),
        {"file": "d.wav"} | blind.to_dict() | {"error": "not exported"},
    ]
    RESULTS.validate(json.loads(batch.as_json(entries)))
    RESULTS.validate(json.loads(batch.as_json([])))


def test_how_a_result_was_made_is_described(tmp_path):
    (tmp_path / "take.wav").write_bytes(b"sound")
    take = Recording(tmp_path / "take.wav", "take")
    entries, _ = batch.run([take], lambda *_, **__: result(), {"source": "probe"}, tmp_path)
    written = json.loads((tmp_path / "take.result.json").read_text(encoding="utf-8"))
    for document in (written, json.loads(batch.as_json(entries))):
        RESULTS.validate(document)
        made = document.get("files")[0]["made"] if "chain" not in document else document["made"]
        del made["probe"]
        assert not RESULTS.is_valid(document)


def test_a_result_with_a_fault_is_refused():
    good = json.loads(batch.as_json([{"file": "a.wav"} | result().to_dict()]))
    assert RESULTS.is_valid(good)
    for key, value in (("chain", [{"effect": "x"}]), ("notes", "one"), ("gain_db", "loud")):
        bad = copy.deepcopy(good)
        bad["files"][0][key] = value
        assert not RESULTS.is_valid(bad), key
    del good["files"][0]["candidates"]
    assert not RESULTS.is_valid(good)
