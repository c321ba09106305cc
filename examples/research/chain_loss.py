"""How likely weights of the inverse model find the true chains and knobs: mean −log p, in nats.

    python examples/research/chain_loss.py [WEIGHTS.safetensors …] [--count 250] [--seed 3]

On the held-out chains of ``unmix evaluate chains --seed SEED``, for the probe, and for synthetic
music-like sources known and hidden. Names that are right or wrong need thousands of chains to tell
two networks apart; this loss needs hundreds, and so it decides what is bundled. The knobs' is that
of all knobs of a chain, given its names and switches; beside it stands the mean |û − u| of their
medians. Seeds other than 1, that of the published figures, keep the two apart. Without a file: the
bundled weights.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from unmix import weights
from unmix.evaluation.held_out import held_out
from unmix.training.datasets import ChainData
from unmix.training.network import knob_error


@torch.no_grad()
def main(files: list[Path], count: int, seed: int):
    probe, synthetic = (
        ChainData.first_of(held_out(seed, source), count).batch(np.arange(count), "cpu")
        for source in ("probe", "synthetic")
    )
    hidden = synthetic | {"known": torch.zeros_like(synthetic["known"])}
    batches = {"probe": probe, "known": synthetic, "hidden": hidden}
    print("| weights | loss |", " | ".join(batches), "|")
    print("| --- | --- |" + " --- |" * len(batches))
    for file in files or [weights.bundled(weights.INVERSE_FILE)]:
        model = weights.load_inverse(path=file)
        rows = {"chain": [], "knobs": [], "knob error": []}
        for batch in batches.values():
            rows["chain"].append(float(model.losses(batch, ["chain"])["chain"]))
            losses, mixtures = model.knob_losses(model.network_inputs(batch), batch)
            rows["knobs"].append(float(losses["knobs"]))
            rows["knob error"].append(knob_error(mixtures, batch))
        for name, figures in rows.items():
            print(f"| {file} | {name} |", " | ".join(f"{x:.3f}" for x in figures), "|", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*", metavar="WEIGHTS")
    parser.add_argument("--count", type=int, default=250)
    parser.add_argument("--seed", type=int, default=3)
    main(**vars(parser.parse_args()))
