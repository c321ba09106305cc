"""What several test modules need: the console script, and small audio files."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unmix import effects
from unmix.audio import io, synthetic

# a shell's background job ignores Ctrl+C, and its children inherit that; some tests send it
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Workers of pytest-xdist, one a core, get one thread each."""
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def command() -> str:
    """Path of the installed console script."""
    return str(Path(sys.executable).with_name("unmix"))


@pytest.fixture(scope="session")
def unmix_cli(command):
    """Run ``unmix ARGUMENTS`` as a user would; gives returncode, stdout, stderr."""

    def run(*arguments, **options) -> subprocess.CompletedProcess:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80"}
        return subprocess.run(
            [command, *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment,
            timeout=300,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def dry() -> np.ndarray:
    """A second of music-like sound at 44.1 kHz: float32 (samples,)."""
    rate = io.SAMPLE_RATE
    return synthetic.synthetic(np.random.default_rng(3), 2 * rate)[:rate]


@pytest.fixture(scope="session")
def two_effects() -> tuple[str, str]:
    """The names of the first and the last effect."""
    return effects.names()[0], effects.names()[-1]


@pytest.fixture
def stereo_file(tmp_path) -> Path:
    """A quarter of a second of quiet stereo noise at 48 kHz."""
    path = tmp_path / "stereo.wav"
    noise = np.random.default_rng(5).uniform(-0.25, 0.25, (2, 12_000)).astype(np.float32)
    io.write(path, noise, 48_000)
    return path
