"""How likely weights of the inverse model find the true chains: mean −log p, in nats.

    python examples/chain_loss.py [WEIGHTS.safetensors …] [--count 250] [--seed 3]

On the held-out chains of ``unmix evaluate chains --seed SEED``, for the probe, and for synthetic
music-like sources known and hidden. Names that are right or wrong need thousands of chains to tell
two networks apart; this loss needs hundreds, and so it decides what is bundled. Seeds other than 1,
that of the published figures, keep the two apart. Without a file: the bundled weights.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from unmix import weights
from unmix.evaluate import held_out
from unmix.generate import stack_items
from unmix.training.chain_data import Arrays, ChainData

KINDS = {"probe": ("probe", False), "known": ("synthetic", False), "hidden": ("synthetic", True)}
BATCH = 50


@torch.no_grad()
def losses(model, data: ChainData, hidden: bool) -> np.ndarray:
    """−log p of each true chain: (N,)."""
    found = []
    for numbers in np.array_split(np.arange(data.count), -(-data.count // BATCH)):
        batch = data.batch(numbers, None, "cpu")
        batch["known"] = batch["known"] * (not hidden)
        found.append(-model.decoder(model.encoder(model.look(batch)), batch["order"]))
    return torch.cat(found).numpy()


def main(files: list[Path], count: int, seed: int):
    sets = {
        source: ChainData([Arrays(stack_items(held_out(seed, source), 0, count))])
        for source in dict.fromkeys(source for source, _ in KINDS.values())
    }
    print("| weights |", " | ".join(KINDS), "|")
    print("| --- |" + " --- |" * len(KINDS))
    for file in files or [weights.bundled(weights.INVERSE_FILE)]:
        model = weights.load_inverse(path=file).eval()
        row = [losses(model, sets[source], hidden) for source, hidden in KINDS.values()]
        print(f"| {file} |", " | ".join(f"{x.mean():.3f}" for x in row), "|", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*", metavar="WEIGHTS")
    parser.add_argument("--count", type=int, default=250)
    parser.add_argument("--seed", type=int, default=3)
    main(**vars(parser.parse_args()))
