"""How long a first answer takes, once everything is loaded: seconds of ``unmix.analyze`` by length.

    python examples/research/first_answer.py [--count 12] [--seed 2]

Of held-out recordings of the probe, ``count`` of each length; of the example in the README; and of
three minutes of synthetic music with their dry file, three effects. Wants idle cores.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import unmix
from unmix.audio import io, synthetic
from unmix.audio.io import SAMPLE_RATE
from unmix.evaluation.held_out import held_out

MINUTES = 3


def seconds(recording, **options) -> float:
    begin = time.perf_counter()
    unmix.analyze(recording, **options)
    return time.perf_counter() - begin


def long_recording(seed: int, folder: Path) -> tuple[Path, Path]:
    """Files of three minutes of synthetic music, dry and through three effects."""
    rng, samples = np.random.default_rng(seed), MINUTES * 60 * SAMPLE_RATE
    dry = synthetic.synthetic(rng, samples)
    _, chain, _ = held_out(seed, "synthetic", length=3).example(0)
    files = folder / "dry.wav", folder / "wet.wav"
    for file, sound in zip(files, (dry, chain.render(dry, SAMPLE_RATE)), strict=True):
        io.write(file, sound, SAMPLE_RATE)
    return files


def main(count: int, seed: int):
    example = Path(__file__).parents[1] / "probe-eq-ott.flac"
    seconds(example)  # loads and compiles
    print("| recording | mean s | longest s |")
    print("| --- | --- | --- |")
    for length in range(1, 6):
        sampler = held_out(seed, "probe", length=length)
        recordings = [sampler.example(i)[2] for i in range(count)]
        took = [seconds(wet, sample_rate=SAMPLE_RATE, source="probe") for wet in recordings]
        print(f"| probe, {length} | {np.mean(took):.2f} | {max(took):.2f} |", flush=True)
    print(f"| {example.name} | {seconds(example):.2f} | |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        dry, wet = long_recording(seed, Path(folder))
        print(f"| {MINUTES} minutes, dry file | {seconds(wet, source=dry):.2f} | |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=2)
    main(**vars(parser.parse_args()))
