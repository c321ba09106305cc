"""The exported program, run without unmix, against the real render."""

import runpy
import subprocess
import sys

import numpy as np
import pytest
from measure import esr_db

from unmix import effects, export
from unmix.audio import io
from unmix.chain import Chain
from unmix.errors import UnmixError
from unmix.export.source import Source

NAMES = effects.names()


def noise(samples: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(2).uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def random_chain(seed: int, names=NAMES) -> Chain:
    rng = np.random.default_rng(seed)
    return Chain([(n, effects.get(n).sample(rng)) for n in rng.permutation(names)])


def run_without(package: str, folder, *arguments) -> subprocess.CompletedProcess:
    """Run the script as a program in which importing ``package`` fails."""
    code = f"import runpy, sys; sys.modules[{package!r}] = None; sys.argv = sys.argv[1:]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, "take.chain.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_program_that_needs_no_unmix(tmp_path):
    chain, dry = random_chain(1), noise(20_000)
    export.write(chain, "take", tmp_path, ["script"])
    io.write(tmp_path / "in.wav", dry, 48_000)
    result = run_without("unmix", tmp_path, "in.wav", "out.wav")
    assert result.returncode == 0, result.stderr
    wet, rate = io.read(tmp_path / "out.wav")
    assert rate == 48_000 and wet.shape == dry.shape
    assert esr_db(wet, chain.render(dry, rate)) <= -90


def test_without_numba_it_sounds_the_same(tmp_path):
    """Every effect in one chain; 0.05 s, as plain Python is slow."""
    chain, dry = random_chain(2), noise(2_200)
    export.write(chain, "take", tmp_path, ["script"])
    io.write(tmp_path / "in.wav", dry, 44_100)
    result = run_without("numba", tmp_path, "in.wav", "out.wav")
    assert result.returncode == 0, result.stderr
    wet, _ = io.read(tmp_path / "out.wav")
    assert esr_db(wet, chain.render(dry, 44_100)) <= -90


def test_without_arguments_it_says_how_to_use_it(tmp_path):
    export.write(Chain(), "take", tmp_path, ["script"])
    result = run_without("unmix", tmp_path)
    assert result.returncode == 1 and "THIS.py in.wav out.wav" in result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_one_effect_alone(tmp_path, name):
    """Nothing of the other effects in it; at 44.1 kHz and below, where some resample inside."""
    chain = random_chain(3, [name])
    (path,) = export.write(chain, "take", tmp_path, ["script"])
    script = runpy.run_path(str(path))
    assert list(script["DEVICES"]) == [name]
    assert Chain(script["CHAIN"]).steps == chain.steps
    for rate in (22_050, 44_100):
        wet, dry = script["render"](noise(9_000), rate), noise(9_000)
        assert esr_db(wet, chain.render(dry, rate)) <= -90


def test_a_changed_setting_is_heard(tmp_path):
    """The dictionary on top is what drives the sound."""
    chain = Chain([(NAMES[0], {"dry_wet": 100.0})])
    (path,) = export.write(chain, "take", tmp_path, ["script"])
    path.write_text(path.read_text().replace('"dry_wet": 100.0', '"dry_wet": 0.0'))
    np.testing.assert_array_equal(
        runpy.run_path(str(path))["render"](noise(100), 44_100), noise(100)
    )


def test_a_name_with_two_meanings_is_told():
    with pytest.raises(UnmixError, match="resample means another thing"):
        Source([effects.get(NAMES[0])], reserved=["resample"])
