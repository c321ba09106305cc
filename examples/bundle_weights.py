"""Copy the results of training runs into the package, as the weights that ship with it.

    python examples/bundle_weights.py runs [--keep 0.35] [--also other/model.safetensors …]
        [--last] [--only chain]

``runs`` holds one folder per effect (from ``unmix train-proxy``), ``inverse`` (from
``unmix train``) and ``reranker`` (from ``unmix train-reranker``); folders that are missing are left
out. The inverse model becomes the mean of the run's weights and of those named by ``--also``, and
with ``--keep`` to that share the bundled ones. All of them must have begun from the same weights:
such means often generalise better than any of their parts (Wortsman et al., "Model soups", ICML
2022). What one of them lacks is the mean of the others. With ``--only`` the mean is of that part of
the model, and the other is the run's. Of the run counts the state that was best on held-out chains,
or with ``--last`` the one it ended with.
"""

import argparse
from pathlib import Path

from unmix import effects, weights
from unmix.networks import checkpoint
from unmix.networks.model import PARTS
from unmix.training import network


def take_last(run: Path, model, about: dict) -> None:
    """Put the state that a run ended with into a model."""
    end = run / checkpoint.LAST
    tensors, progress = checkpoint.read_weights(end)
    checkpoint.load_weights(end, model, tensors)
    about["last_step"] = progress["step"]


def main(runs: Path, keep: float, also: list[Path], last: bool, only: str | None):
    for name in effects.names():
        best = runs / name / checkpoint.BEST
        if best.exists():
            _, about = checkpoint.read(best)
            print(weights.save_proxy(weights.load_proxy(name, path=best), name, about))
    best = runs / "reranker" / checkpoint.BEST
    if best.exists():
        _, about = checkpoint.read(best)
        model = weights.load_reranker(weights.load_inverse().effects, best)
        if last:
            take_last(best.parent, model, about)
        print(weights.save_reranker(model, about))
    path = runs / "inverse" / network.MODEL
    if path.exists():
        _, about = checkpoint.read(path)
        shares = {other: (1 - keep) / (1 + len(also)) for other in also}
        if keep:
            shares[weights.bundled(weights.INVERSE_FILE)] = keep
        model = weights.load_inverse(path=path)
        if last:
            take_last(path.parent, model, about)
        others = [(weights.read_inverse(other)[0], share) for other, share in shares.items()]
        averaged = PARTS[only] if only else sum(PARTS.values(), ())
        for name, parameter in model.named_parameters():
            if name.split(".")[0] not in averaged:
                continue
            have = [(tensors[name], share) for tensors, share in others if name in tensors]
            parameter.mul_(1 - sum(share for _, share in have))
            for tensor, share in have:
                parameter.add_(tensor.float(), alpha=share)
        if shares:
            about["mean_with"] = {
                weights.inverse_hash(other): share for other, share in shares.items()
            }
            about["mean_of"] = averaged
        print(*weights.save_inverse(model, about), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--keep", type=float, default=0.0, help="share of the bundled weights")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="other runs' models")
    parser.add_argument("--last", action="store_true", help="the run's last state, not its best")
    parser.add_argument("--only", choices=PARTS, help="average this part of the model alone")
    main(**vars(parser.parse_args()))
