"""Train the network on chains that a GPU renders while it trains on them.

    python examples/gpu/train.py --out runs/inverse --only chain --minutes 9 --seed 20

Processes make dry sources; the GPU renders families of chains on them (families.py) and hears them
(hearing.py), round after round. The last rounds stay in its memory; a new one is taken up when as
many items were trained on as came before. It needs nvcc. The run folder is that of ``unmix train``.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of each process; before numpy is there

import argparse
import mmap
import multiprocessing
import threading
import time
from pathlib import Path

import numpy as np
import torch
from families import Families
from torch import nn

from unmix import features, sources, weights
from unmix.dataset import FAMILY
from unmix.features import WINDOW
from unmix.inverse.model import PARTS
from unmix.shards import file_hash
from unmix.training import inverse, state
from unmix.training.chain_data import ChainData, validation_data
from unmix.training.loop import FitConfig, fit, learn_only

SHARES = {"probe": 0.5, "synthetic": 0.45, "noise": 0.02, "chirp": 0.02, "impulse": 0.01}
ROUNDS = 4  # that are kept
FORK = multiprocessing.get_context("fork")


class Sources:
    """Synthetic sources that processes make again and again, in memory that all of them share."""

    def __init__(self, count: int, workers: int, seed: int):
        self.audio = np.frombuffer(mmap.mmap(-1, 4 * count * WINDOW), np.float32)
        self.audio = self.audio.reshape(count, WINDOW)
        self.made, self.workers = FORK.Array("q", workers, lock=False), workers
        for worker in range(workers):
            FORK.Process(target=self._work, args=(worker, seed), daemon=True).start()

    def _work(self, worker: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 4, worker])
        while True:
            for place in range(worker, len(self.audio), self.workers):
                self.audio[place] = sources.synthetic(rng, WINDOW)
                self.made[worker] += 1

    def draw(self, rng: np.random.Generator, count: int) -> list[np.ndarray]:
        """As many sources (WINDOW,), of those that are there."""
        while min(self.made) == 0:
            time.sleep(0.1)
        there = np.minimum(self.made, len(self.audio) // self.workers)
        worker = rng.integers(self.workers, size=count)
        return [self.audio[n] for n in worker + self.workers * rng.integers(there[worker])]


class Stream:
    """What is heard of families, each until a newer one takes its place; a set of ChainData.

    Args:
        families: that makes rounds. synthetic: sources for them.
    """

    def __init__(self, families: Families, synthetic: Sources, seed: int):
        self.families, self.synthetic, self.device = families, synthetic, families.device
        self.rng = np.random.default_rng([seed, 6])
        self.fixed = {
            kind: torch.from_numpy(sources.fixed(kind)).to(self.device)
            for kind in SHARES
            if kind != "synthetic"
        }
        self.tensors: dict[str, torch.Tensor] = {}
        self.begin = self.count = self.drawn = self.fresh = 0
        self.staged, self.error, self.stopped = None, None, False
        self.wanted, self.ready = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._make, daemon=True)
        self._take(self._round())

    def start(self) -> None:
        """From now on rounds are made beside the training."""
        self.wanted.set()
        self.thread.start()

    def stop(self) -> None:
        """No more rounds."""
        self.stopped = True
        self.wanted.set()
        self.thread.join()

    def grow(self) -> None:
        """Take up a new round, if there is one and it is time."""
        if self.error is not None:
            raise RuntimeError("no more chains come") from self.error
        if not self.ready.is_set() or self.drawn < self.fresh:
            return
        self.ready.clear()
        self._take(self.staged)
        torch.cuda.current_stream().synchronize()  # before others get the memory
        self.staged = None
        self.wanted.set()

    def items(self, indices: torch.Tensor) -> dict[str, torch.Tensor]:
        """A batch as of ChainData, by numbers (B,) on the device."""
        family, member = indices // FAMILY, indices % FAMILY
        items = {
            name: features.unpack(
                name, tensor[family] if name.startswith("source_") else tensor[family, member]
            )
            for name, tensor in self.tensors.items()
        }
        return items | {"level_known": torch.ones_like(items["known"])}

    def _make(self) -> None:
        try:
            stream = torch.cuda.Stream()
            with torch.cuda.stream(stream):
                while self.wanted.wait() and not self.stopped:
                    self.wanted.clear()
                    self.staged = self._round()
                    stream.synchronize()
                    self.ready.set()
        except BaseException as error:
            self.error = error
            raise

    def _round(self) -> dict[str, torch.Tensor]:
        kinds = self.rng.choice(list(SHARES), size=self.families.count, p=list(SHARES.values()))
        dry = self.families.stages[0]
        for kind, audio in self.fixed.items():
            dry[torch.from_numpy(np.flatnonzero(kinds == kind)).to(self.device)] = audio
        rows = np.flatnonzero(kinds == "synthetic")
        for row, audio in zip(rows, self.synthetic.draw(self.rng, len(rows)), strict=True):
            dry[row].copy_(torch.from_numpy(audio))
        families, orders = self.families.grow()
        on_probe = torch.from_numpy(kinds[families] == "probe").to(self.device)
        heard = self.families.hear(families, orders)
        return heard | {"on_probe": on_probe.half()[:, None].repeat(1, FAMILY)}

    def _take(self, heard: dict[str, torch.Tensor]) -> None:
        room, new = ROUNDS * self.families.count, len(heard["level"])
        places = (self.begin + torch.arange(new, device=self.device)) % room
        for name, values in heard.items():
            if name not in self.tensors:
                shape = room, *values.shape[1:]
                self.tensors[name] = torch.empty(shape, dtype=values.dtype, device=self.device)
            self.tensors[name][places] = values
        self.begin = (self.begin + new) % room
        self.fresh += FAMILY * new
        self.count = min(FAMILY * room, self.fresh)


class Loss(nn.Module):
    """The loss of items (B,) from their numbers on, for one CUDA graph: nothing in it depends on
    what the chains are, so that each head hears all items, and only those with its effect count.

    Args:
        parts: of the model, keys of PARTS.
    """

    def __init__(self, model, chains: ChainData, stream: Stream, parts):
        super().__init__()
        self.model, self.chains, self.stream, self.parts = model, chains, stream, parts

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        kind, model = indices.device.type, self.model
        batch = self.chains.conceal(self.stream.items(indices))
        losses = {}
        with torch.autocast(kind, torch.bfloat16, kind == "cuda", cache_enabled=False):
            pictures = model.look(batch)
            if "chain" in self.parts:
                z = model.encoder(pictures).float()
                losses["chain"] = -model.decoder(z, batch["order"]).mean()
            if "knobs" in self.parts:
                losses |= self.of_knobs(pictures, batch)
        return inverse.Weights().symbolic(losses)

    def of_knobs(self, pictures: dict, batch: dict) -> dict[str, torch.Tensor]:
        """As InverseModel.knob_losses."""
        parts = dict.fromkeys(("switches", "guess", "knobs"), 0.0)
        for number, (name, head) in enumerate(self.model.heads.items()):
            there = (batch["order"] == number).any(1)
            labels = (batch[f"{kind}.{name}"] for kind in ("knobs", "switches"))
            losses, _ = head.losses(pictures, batch["order"], *labels)
            parts = {part: total + (losses[part] * there).mean() for part, total in parts.items()}
        return parts


def _milliseconds(loss_of: Loss, indices: torch.Tensor) -> float:
    """That the GPU takes for a loss and its gradient, with nothing beside."""
    loss_of(indices).backward()
    torch.cuda.synchronize()
    begin = time.monotonic()
    for _ in range(10):
        loss_of(indices).backward()
    torch.cuda.synchronize()
    return 100 * (time.monotonic() - begin)


def main(args):
    device, parts = args.device, (args.only,) if args.only else tuple(PARTS)
    synthetic = Sources(args.sources, args.workers, args.seed)  # before CUDA is there
    held_out = FORK.Pool(1).apply_async(validation_data, (args.seed, args.validation))
    torch.backends.cudnn.benchmark = True
    start = args.start or weights.bundled(weights.INVERSE_FILE)
    model = weights.load_inverse(path=start).to(device).train()
    learn_only(model.requires_grad_(), [name for part in parts for name in PARTS[part]])
    begin = time.monotonic()
    stream = Stream(Families(args.families, device, args.seed), synthetic, args.seed)
    print(f"first round: {stream.count} items, {time.monotonic() - begin:.1f} s", flush=True)
    chains = ChainData([stream], tuple(args.hidden_shares), masked=args.masked)

    def drawn(rng) -> torch.Tensor:
        return torch.from_numpy(chains.draw(rng, args.batch)).to(device)

    loss_of = Loss(model, chains, stream, parts)
    if device == "cuda":
        sample = drawn(np.random.default_rng(0))
        loss_of = torch.cuda.make_graphed_callables(loss_of, (sample,), allow_unused_input=True)
        print(f"loss and gradient: {_milliseconds(loss_of, sample):.0f} ms", flush=True)
        stream.start()
    began = time.monotonic()

    def step(number, rng):
        if device == "cuda":
            stream.grow()
        loss = loss_of(drawn(rng))
        stream.drawn += args.batch
        if number % 100 == 0:
            rate = stream.drawn / (time.monotonic() - began)
            about = f"{rate:.0f} items/s, {stream.fresh} fresh, {sum(synthetic.made)} sources"
            print(f"step {number}: {about}", flush=True)
        return loss, {"fresh": float(stream.fresh)}

    def validate():
        return inverse.held_out_figures(model, held_out.get(), device, inverse.Weights())

    budget = FitConfig(
        args.steps,
        args.minutes,
        args.learning_rate,
        validate_every=args.validate_every,
        weight_decay=0.02,
        clip=5.0,
        seed=args.seed,
        describe={"start": file_hash(start), "shares": SHARES, "batch": args.batch, "parts": parts},
    )
    result = fit(model, step, validate, args.out, budget, score="score", device=device)
    about = {"config": model.config.to_dict(), "step": result.step, "parts": parts}
    about |= {"fresh": stream.fresh, "drawn": stream.drawn, "seed": args.seed}
    state.save_weights(args.out / inverse.MODEL, model, about)
    print(f"done: {result.step} steps, {stream.drawn} items of {stream.fresh} fresh", flush=True)
    if device == "cuda":
        stream.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=PARTS, help="the part that is trained; else both")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--learning-rate", type=float, default=1.2e-3)
    parser.add_argument("--masked", type=float, default=0.15)
    parser.add_argument("--hidden-shares", type=float, nargs=2, default=(0.03, 0.4))
    parser.add_argument("--families", type=int, default=4096, help="in a round: 7 MB each")
    parser.add_argument("--sources", type=int, default=6144, help="that are kept: 0.7 MB each")
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--validation", type=int, default=60)
    parser.add_argument("--validate-every", type=int, default=100_000)
    parser.add_argument("--start", type=Path, help="weights to begin from; else the bundled ones")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    main(parser.parse_args())
