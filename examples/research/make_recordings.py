"""Make the recordings in the folder above: real effects on the probe and on a dry file.

    python examples/research/make_recordings.py

Each NAME.flac has its true chain beside it as NAME.chain.json.
"""

from pathlib import Path

import numpy as np

import unmix
from unmix.audio import io, synthetic
from unmix.runtime import files

HERE = Path(__file__).parents[1]
DRY_SEED = 7

CHAINS = {
    "probe-saturator": [("saturator", {"drive": 21, "curve": "fold", "output": -9, "dry_wet": 70})],
    "probe-eq-ott": [
        (
            "eq",
            {"mode_1": "low_cut", "freq_1": 70, "freq_3": 2400, "gain_3": 6, "q_3": 2.5}
            | {"mode_4": "high_shelf", "freq_4": 9000, "gain_4": -7},
        ),
        ("ott", {"amount": 35, "time": 160, "above_mid": -34, "above_high": -36}),
    ],
    "probe-phaser-reverb": [
        ("phaser", {"rate": 1.6, "depth": 65, "centre": 900, "feedback": 35, "dry_wet": 45}),
        ("reverb", {"room_size": 62, "damping": 30, "dry_wet": 30}),
    ],
    "dry-saturator-reverb": [
        ("saturator", {"drive": 15, "curve": "analog", "output": -8}),
        ("reverb", {"room_size": 45, "damping": 55, "dry_wet": 28}),
    ],
}


def main():
    rng = np.random.default_rng(DRY_SEED)
    dry = synthetic.synthetic(rng, 4 * io.SAMPLE_RATE)
    dry *= np.float32(0.5 / np.abs(dry).max())
    io.write(HERE / "dry.flac", dry, io.SAMPLE_RATE)
    dry, rate = io.read(HERE / "dry.flac")
    for name, steps in CHAINS.items():
        source = dry[0] if name.startswith("dry-") else unmix.probe()
        chain = unmix.Chain(steps)
        recording = chain.render(source, rate)
        peak = np.abs(recording).max()
        if peak > 1:
            raise SystemExit(f"{name}: peak {peak:.2f} would clip in a FLAC file")
        io.write(HERE / f"{name}.flac", recording, rate)
        files.write_text(HERE / f"{name}.chain.json", chain.to_json() + "\n")
        print(f"{name}: peak {20 * np.log10(peak):.1f} dBFS")


if __name__ == "__main__":
    main()
