"""The list of knobs for people: read back, it is the chain."""

import numpy as np
import pytest
from measure import esr_db

from unmix import effects, export
from unmix.analysis.result import Result
from unmix.chain import Chain

NAMES = effects.names()


def read(text: str) -> Chain:
    """What somebody would type: the value of every line below an effect's headline."""
    steps = []
    for line in text.splitlines():
        if line[:1].isdigit():
            steps.append((line.split()[1].rstrip(":"), {}))
        elif line.startswith("   "):
            name, value = line.split()[:2]
            is_number = name in [knob.name for knob in effects.get(steps[-1][0]).knobs]
            steps[-1][1][name] = float(value) if is_number else value
    return Chain(steps)


@pytest.mark.parametrize("seed", range(3))
def test_typed_in_by_hand_it_sounds_the_same(tmp_path, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(NAMES)[: 3 + seed]
    chain = Chain([(name, effects.get(name).sample(rng)) for name in order])
    (path,) = export.write(chain, "take", tmp_path, ["text"])
    typed = read(path.read_text(encoding="utf-8"))
    assert typed.names == chain.names
    dry = rng.uniform(-0.5, 0.5, 22_050).astype(np.float32)
    assert esr_db(typed.render(dry, 44_100), chain.render(dry, 44_100)) < -50


def test_numbers_end_in_one_column(tmp_path):
    chain = Chain([(name, {}) for name in NAMES])
    (path,) = export.write(chain, "take", tmp_path, ["text"])
    lines = path.read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 80
    for name in NAMES:
        start = next(i for i, line in enumerate(lines) if f". {name}: " in line) + 1
        rows = lines[start : start + len(chain.steps[0][1])]
        ends = {line.index(line.split()[1]) + len(line.split()[1]) for line in rows if line}
        assert len(ends) == 1


def test_what_the_analysis_knows_stands_beside_the_knobs(tmp_path):
    effect = next(e for e in map(effects.get, NAMES) if len(e.knobs) > 1)
    sure, unsure = effect.knobs[:2]
    chain = Chain([(effect.name, {})])
    result = Result(
        chain,
        [],
        None,
        {
            effect.name: {
                sure.name: (sure.low, sure.default),
                unsure.name: (unsure.low, unsure.high),
            }
        },
        "none",
        undetermined={effect.name: [unsure.name]},
        notes=["Nobody knows the level."],
    )
    (path,) = export.write(chain, "take", tmp_path, ["text"], result)
    text = path.read_text(encoding="utf-8")
    line, other = (next(r for r in text.splitlines() if f" {k.name} " in r) for k in (sure, unsure))
    assert line.endswith(f"90 %: {sure.format(sure.low)} … {sure.format(sure.default)}")
    assert other.endswith("not determined by this recording")
    assert "Note: Nobody knows the level." in text
    assert read(text) == chain
