import itertools
import json

import numpy as np
import pytest

from unmix import effects
from unmix.chain import Chain, canonical_order
from unmix.errors import UnmixError

NAMES = effects.names()
MAY_SWAP = [name for name in NAMES if effects.get(name).linear_time_invariant]
KEEP_PLACE = [name for name in NAMES if name not in MAY_SWAP]


def random_chain(seed, length=None):
    rng = np.random.default_rng(seed)
    count = rng.integers(len(NAMES) + 1) if length is None else length
    names = rng.permutation(NAMES)[:count]
    return Chain([(str(name), effects.get(str(name)).sample(rng)) for name in names])


def test_there_is_something_to_swap_and_something_to_keep():
    assert len(MAY_SWAP) >= 2 and len(KEEP_PLACE) >= 1


# building


def test_missing_settings_take_their_defaults():
    effect = effects.get(NAMES[0])
    ((name, settings),) = Chain([(NAMES[0], {})]).steps
    assert name == NAMES[0]
    defaults = {c.name: c.default for c in effect.knobs + effect.switches}
    assert settings == defaults


def test_an_effect_once_at_most():
    with pytest.raises(UnmixError, match=f"{NAMES[0]} appears twice"):
        Chain([(NAMES[0], {}), (NAMES[1], {}), (NAMES[0], {})])


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_setting_names_effect_and_setting(name):
    knob = effects.get(name).knobs[0]
    with pytest.raises(UnmixError, match=f"^{name}: .*'loudness'"):
        Chain([(name, {"loudness": 1})])
    with pytest.raises(UnmixError, match=f"^{name}: {knob.name} is"):
        Chain([(name, {knob.name: knob.high + 1000})])


def test_the_callers_settings_are_copied():
    settings = effects.get(NAMES[0]).sample(np.random.default_rng(0))
    chain = Chain([(NAMES[0], settings)])
    knob = effects.get(NAMES[0]).knobs[0]
    before = chain.steps[0][1][knob.name]
    settings[knob.name] = knob.low
    assert chain.steps[0][1][knob.name] == before


# rendering


def test_no_effects_is_no_change():
    audio = np.random.default_rng(0).uniform(-1, 1, (2, 500)).astype(np.float32)
    np.testing.assert_array_equal(Chain().render(audio, 48_000), audio)


def test_effects_run_in_order():
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, 4_000).astype(np.float32)
    chain = random_chain(3, length=3)
    by_hand = audio
    for name, settings in chain.steps:
        by_hand = effects.get(name).render(by_hand, 44_100, settings)
    np.testing.assert_array_equal(chain.render(audio, 44_100), by_hand)
    backwards = Chain(chain.steps[::-1]).render(audio, 44_100)
    assert np.abs(backwards - by_hand).max() > 0.01


# JSON


@pytest.mark.parametrize("seed", range(10))
def test_json_round_trip_loses_nothing(seed):
    chain = random_chain(seed)
    text = chain.to_json()
    assert Chain.from_json(text).steps == chain.steps
    assert Chain.from_json(text).to_json() == text


def test_json_is_what_is_promised():
    document = json.loads(random_chain(1, length=2).to_json())
    assert document["format"] == "unmix-chain" and document["version"] == 1
    assert [set(step) for step in document["chain"]] == [{"effect", "settings"}] * 2


def test_json_settings_may_be_left_out():
    text = json.dumps({"format": "unmix-chain", "version": 1, "chain": [{"effect": NAMES[0]}]})
    assert Chain.from_json(text) == Chain([(NAMES[0], {})])


def document(**changes):
    return {"format": "unmix-chain", "version": 1, "chain": []} | changes


def steps(*chain):
    return json.dumps(document(chain=list(chain)))


KNOB = effects.get(NAMES[0]).knobs[0].name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON.*line 1"),
        ("[" * 100_000, "not JSON"),
        ("1" * 5_000, "not JSON"),
        ("null", "not a chain file"),
        ("[]", "not a chain file"),
        ('{"effects": []}', "not a chain file"),
        (json.dumps(document(format="other")), "not a chain file"),
        (json.dumps(document(version=2)), "version 2"),
        (json.dumps(document(version=None)), "version None"),
        (json.dumps(document(chain=None)), 'list under "chain"'),
        (json.dumps(document(chain={NAMES[0]: {}})), 'list under "chain"'),
        (steps(NAMES[0]), "step 1 must look like"),
        (steps({"effect": NAMES[0], "settings": [1]}), "step 1 must look like"),
        (steps({"effect": NAMES[0], "settings": None}), "step 1 must look like"),
        (steps({"settings": {}}), "step 1 has .*no others"),
        (steps({"effect": NAMES[0], "setings": {}}), "step 1 has .*no others"),
        (steps({"effect": "echo"}), "no effect 'echo'; the effects are"),
        (steps({"effect": None}), "no effect None"),
        (steps({"effect": [NAMES[0]]}), "no effect"),
        (steps({"effect": NAMES[0]}, {"effect": NAMES[0]}), "twice"),
        (steps({"effect": NAMES[0], "settings": {"knob": 1}}), "no setting 'knob'"),
        (steps({"effect": NAMES[0], "settings": {KNOB: "loud"}}), f"{KNOB} must be a number"),
        (steps({"effect": NAMES[0], "settings": {KNOB: None}}), f"{KNOB} must be a number"),
        (steps({"effect": NAMES[0], "settings": {KNOB: True}}), f"{KNOB} must be a number"),
        (steps({"effect": NAMES[0], "settings": {KNOB: float("nan")}}), f"{KNOB} must be"),
        (steps({"effect": NAMES[0], "settings": {KNOB: 1e9}}), f"{KNOB} is 1e.09.*range"),
        (steps({"effect": NAMES[0], "settings": {KNOB: 10**400}}), f"{KNOB} is out of range"),
    ],
)
def test_a_wrong_document_says_what_is_wrong(text, words):
    with pytest.raises(UnmixError, match=words) as caught:
        Chain.from_json(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


# equality and canonical form


def test_order_matters_where_it_can_be_heard():
    a, b = KEEP_PLACE[0], MAY_SWAP[0]
    assert Chain([(a, {}), (b, {})]) != Chain([(b, {}), (a, {})])


def test_order_does_not_matter_between_neighbours_that_may_swap():
    a, b = MAY_SWAP[:2]
    rest = [(name, {}) for name in KEEP_PLACE[:1]]
    assert Chain([(a, {}), (b, {}), *rest]) == Chain([(b, {}), (a, {}), *rest])
    assert Chain([(a, {}), *rest, (b, {})]) != Chain([(b, {}), *rest, (a, {})])


def test_settings_and_length_matter():
    knob = effects.get(NAMES[0]).knobs[0]
    assert Chain([(NAMES[0], {knob.name: knob.low})]) != Chain([(NAMES[0], {knob.name: knob.high})])
    assert Chain([(NAMES[0], {})]) != Chain()
    assert Chain() != []


@pytest.mark.parametrize("length", range(len(NAMES) + 1))
def test_canonical_order_over_all_orders(length):
    """Idempotent, the same for all swaps of neighbours that may swap, and for nothing else."""
    for names in itertools.permutations(NAMES, length):
        canonical = canonical_order(names)
        assert canonical_order(canonical) == canonical
        fixed = [(i, name) for i, name in enumerate(names) if name in KEEP_PLACE]
        assert [(i, name) for i, name in enumerate(canonical) if name in KEEP_PLACE] == fixed
        assert sorted(canonical) == sorted(names)
        for i in range(length - 1):
            swapped = (*names[:i], names[i + 1], names[i], *names[i + 2 :])
            both = names[i] in MAY_SWAP and names[i + 1] in MAY_SWAP
            assert (canonical_order(swapped) == canonical) == both
        for left, right in itertools.pairwise(canonical):
            if left in MAY_SWAP and right in MAY_SWAP:
                assert NAMES.index(left) < NAMES.index(right)


@pytest.mark.parametrize("seed", range(20))
def test_canonical_form_keeps_the_settings(seed):
    chain = random_chain(seed)
    assert dict(chain.canonical().steps) == dict(chain.steps)
    assert chain.canonical() == chain


def test_canonical_form_sounds_the_same():
    """Neighbours swap: only the rounding of the devices' 32-bit filters tells the renders apart.

    Every such difference lies far below the -40 dB at which a change counts as audible.
    """
    differences_db = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        audio = rng.uniform(-0.5, 0.5, 11_025).astype(np.float32)
        names = [str(name) for name in rng.permutation(MAY_SWAP)[::-1]]
        names = sorted(names, key=NAMES.index, reverse=True)  # the order that canonical() turns
        chain = Chain([(name, effects.get(name).sample(rng)) for name in names])
        assert chain.canonical().names != chain.names
        ours, theirs = (c.render(audio, 44_100) for c in (chain, chain.canonical()))
        error = np.square(ours - theirs, dtype=np.float64).sum()
        differences_db.append(10 * np.log10(error / np.square(ours, dtype=np.float64).sum()))
    assert max(differences_db) < -55
    assert np.median(differences_db) < -80


def test_later_is_where_the_lfo_stands_then():
    """Silence in front lets the LFO run; a chain told for later needs none."""
    for name in effects.names():
        effect = effects.get(name)
        if effect.lfo is None:
            continue
        chain = Chain([(name, effect.sample(np.random.default_rng(1)) | {effect.lfo.rate: 1.3})])
        sound = np.random.default_rng(0).uniform(-0.5, 0.5, 22_050).astype(np.float32)
        seconds = 0.7
        waited = np.pad(sound, (round(seconds * 44_100), 0))
        expected = chain.render(waited, 44_100)[-sound.size :]
        told = chain.at_time(seconds).render(sound, 44_100)
        error = np.sum((told - expected) ** 2) / np.sum(expected**2)
        assert error < 1e-4, name
        back = chain.at_time(seconds).at_time(-seconds)
        assert dict(back.steps)[name][effect.lfo.phase] == pytest.approx(
            dict(chain.steps)[name][effect.lfo.phase]
        )
