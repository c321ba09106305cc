"""Training of the inverse model: likelihood first, then the hybrid loss through the proxies."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from unmix import effects, features
from unmix.chain import proxy_render
from unmix.dataset import FAMILY, MAX_LENGTH, ChainSampler
from unmix.errors import UnmixError
from unmix.generate import stack_items
from unmix.inverse.decoder import CORES
from unmix.inverse.model import PARTS, UNREAD, InverseModel, ModelConfig
from unmix.losses import mss
from unmix.shards import Reader, file_hash, read_manifest
from unmix.training import masks, parallel, state
from unmix.training.loop import FitConfig, FitResult, fit

MODEL = "model.safetensors"
HYBRID = "hybrid"
VALIDATION_SEED = 1_000_000  # added to the run's seed; `evaluate` uses seeds below it
VALIDATION_SHARES = {"probe": 0.8, "synthetic": 0.2}


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of the loss; all but the chain's are sums over a chain's effects."""

    chain: float = 1.0
    switches: float = 0.5
    knobs: float = 0.15
    guess: float = 1.0
    spectral: float = 0.5

    def likelihood(self, parts: dict):
        return self.symbolic({k: v for k, v in parts.items() if k != "guess"})

    def symbolic(self, parts: dict):
        """Of everything that is compared with labels, as far as ``parts`` has it."""
        return sum(getattr(self, name) * value for name, value in parts.items())


class ChainData:
    """Items of chains data sets, as features.pack leaves them; batches are float32.

    Args:
        sets: each gives items by their numbers in it, ``load(names, indices)``, and knows its
            ``names`` and its ``count``: Readers, whose shards stay on disk and come to memory as
            they are asked for, Arrays, or Resident. Their items are numbered through.
        hidden_shares: of a training batch, the share of items on the probe whose source is hidden
            from the network, and the share of the others.
        level_unknown_share: share whose recording level is hidden (unknown capture gain).
        masked: share of the items in a training batch that are heard in part, see masks.py.
    """

    def __init__(
        self, sets, hidden_shares=(0.03, 0.3), level_unknown_share=0.25, masked: float = 0.0
    ):
        self.sets, self.masked = list(sets), masked
        self.hidden_shares, self.level_unknown_share = hidden_shares, level_unknown_share

    @property
    def ends(self) -> np.ndarray:
        """The first number behind each set's items."""
        return np.cumsum([each.count for each in self.sets])

    @property
    def count(self) -> int:
        """Items that are there."""
        return int(self.ends[-1])

    @staticmethod
    def open(*folders, masked: float = 0.0, resident: str | None = None, without=()):
        """Data sets written by ``unmix gen-data --chains`` as ChainData, and their configs.

        Args:
            resident: a device in whose memory they are kept; unfinished sets will do then.
            without: tensors that need not be there.
        """
        readers = [Reader(folder, unfinished=resident is not None) for folder in folders]
        configs = [reader.manifest["config"] for reader in readers]
        for folder, config in zip(folders, configs, strict=True):
            if config.get("kind") != "chains":
                raise UnmixError(
                    f"{folder}: holds {config.get('kind')}, not chains; see gen-data --help"
                )
            if config["effects"] != list(effects.names()):
                raise UnmixError(f"{folder}: made with other effects; make it again with gen-data")
            if config["features"] != features.VERSION:
                raise UnmixError(f"{folder}: made with other features; make it again with gen-data")
        if resident is not None:
            readers = [Resident(reader, resident, without) for reader in readers]
        return ChainData(readers, masked=masked), configs

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Numbers of random items, ascending: a beginning of a family's chain and its twin in turn.

        Two chains that differ in their order alone meet in one batch then. A beginning of one
        effect has no twin: the chain of five comes with it.
        """
        pairs = -(-count // 2)
        families = rng.integers(-(-self.count // FAMILY), size=pairs)
        first = FAMILY * families + rng.integers(MAX_LENGTH, size=pairs)
        items = np.stack([first, first + MAX_LENGTH - 1], 1).ravel()[:count]
        return np.sort(np.minimum(items, self.count - 1))

    def place(self, item: int) -> tuple[int, int]:
        """Of an item: the number of its set, and its number there."""
        n = int(np.searchsorted(self.ends, item, "right"))
        return n, item - int(self.ends[n]) + self.sets[n].count

    def batch(
        self, indices: np.ndarray, rng: np.random.Generator | None, device, without=()
    ) -> dict:
        """Items in ascending order as tensors, without those named; with rng, source and level are
        hidden and pictures masked at random."""
        first, parts = 0, []
        for each, end in zip(self.sets, self.ends, strict=True):
            here = indices[(indices >= first) & (indices < end)] - first
            if len(here):
                parts.append(each.load([n for n in each.names if n not in without], here))
            first = end
        result = {}
        for name in parts[0]:
            values = torch.cat([torch.as_tensor(part[name]) for part in parts])
            result[name] = features.unpack(name, values.to(device, non_blocking=True))
        heard = torch.ones(2, len(indices))
        if rng is not None:
            hidden = np.where(result["on_probe"].cpu() > 0, *self.hidden_shares)
            shares = np.stack([hidden, np.full(len(indices), self.level_unknown_share)])
            heard = torch.from_numpy(rng.random((2, len(indices))) >= shares).float()
            if self.masked:
                result = masks.mask(result, rng, self.masked)
        result["known"] = result["known"] * heard[0].to(device)
        result["level_known"] = heard[1].to(device)
        return result


class Arrays:
    """A data set in memory: {name: (N, …)} as ``ChainSampler.item`` gives them."""

    def __init__(self, arrays: dict):
        self.arrays, self.count, self.names = arrays, len(arrays["level"]), tuple(arrays)

    def load(self, names, indices) -> dict[str, np.ndarray]:
        """As of a Reader."""
        return {name: self.arrays[name][indices] for name in names}


class Resident:
    """A data set in the memory of a device, with what ``gen-data`` adds to it while it is in use.

    Args:
        reader: of the set, finished or not.
        device: that holds all of its items.
        without: tensors that are left out.
    """

    LOOK_S = 2.0  # between looks for new shards

    def __init__(self, reader: Reader, device: str, without=()):
        self.reader, self.device, self.count = reader, device, 0
        self.names = tuple(name for name in reader.names if name not in without)
        self.tensors: dict[str, torch.Tensor] = {}
        self.looked = -math.inf
        if reader.count == 0:
            raise UnmixError(f"{reader.folder}: no shard yet; try again when the first is there")
        self.grow()

    def grow(self) -> None:
        """Take up what has come, unless the last look was a moment ago."""
        if time.monotonic() - self.looked < self.LOOK_S:
            return
        self.looked = time.monotonic()
        taken = len(self.reader.records) if self.count else 0
        if not self.reader.manifest["complete"]:
            self.reader.refresh()
        for shard in self.reader.shards(self.names, taken):
            end = self.count + len(shard["level"])
            for name, array in shard.items():
                values = torch.from_numpy(array)
                if name not in self.tensors:
                    room = (self.reader.manifest["count"], *values.shape[1:])
                    self.tensors[name] = torch.empty(room, dtype=values.dtype, device=self.device)
                self.tensors[name][self.count : end] = values
            self.count = end

    def load(self, names, indices) -> dict[str, torch.Tensor]:
        """As of a Reader, on the device."""
        rows = torch.from_numpy(np.asarray(indices)).to(self.device)
        return {name: self.tensors[name][rows] for name in names}


def validation_data(seed: int, count: int) -> ChainData:
    """Chains that no training stream contains: lengths 1–5 in equal parts, mostly on the probe."""
    sampler = ChainSampler(
        VALIDATION_SEED + seed, shares=VALIDATION_SHARES, degraded=0.0, independent=True
    )
    return ChainData([Arrays(stack_items(sampler, 0, count))])


def _half_on_cpu(device: str) -> torch.autocast:
    """bfloat16 convolutions where the processor has instructions for them (about twice as fast)."""
    fast = torch.device(device).type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=fast)


class SpectralTerm:
    """The part of the hybrid loss that is heard: MSS between recordings and what the proxies make
    of the network's knobs, with the true chain and switches.

    One family is rendered again from its seed at each call: the data set holds no audio.
    """

    def __init__(self, configs: list[dict], seconds: float = 2.0, device: str = "cpu"):
        from unmix.weights import load_proxy

        self.samplers = [
            ChainSampler(**{key: config[key] for key in ChainSampler.OPTIONS}) for config in configs
        ]
        if any(s.config != config for s, config in zip(self.samplers, configs, strict=True)):
            raise UnmixError(
                "the data are of another version, whose sound cannot be rendered again for the "
                "spectral term; make them again with gen-data, or train with --hybrid-steps 0"
            )
        self.proxies = {name: load_proxy(name, device) for name in effects.names()}
        self.samples = round(seconds * features.SAMPLE_RATE)
        self.device = device

    def __call__(self, model: InverseModel, data: ChainData, item: int, rng) -> torch.Tensor:
        """Mean MSS over the family of an item, on one excerpt of ``seconds``; differentiable.

        The proxies hear the source from its beginning: envelopes and tails need their past.
        """
        n, row = data.place(item)
        family, member = divmod(row, self.samplers[n].family_size)
        source, pairs = self.samplers[n].audio_family(family)
        indices = item - member + np.arange(len(pairs))
        batch = data.batch(indices, None, self.device)
        with _half_on_cpu(self.device):
            _, mixtures = model.knob_losses(model.look(batch), batch)
        knobs, switches = {}, {}
        for name, (rows, mixture) in mixtures.items():
            knobs[name] = batch[f"knobs.{name}"].index_copy(0, rows, mixture.centre())
            switches[name] = batch[f"switches.{name}"]
        end = int(rng.integers(self.samples, features.WINDOW + 1))
        dry = torch.from_numpy(source[:end]).to(self.device).expand(len(pairs), -1)
        recordings = torch.from_numpy(np.stack([wet[:end] for _, wet in pairs])).to(self.device)
        answer = proxy_render(self.proxies, dry, batch["order"], knobs, switches)
        excerpt = slice(end - self.samples, end)
        return mss(answer[:, excerpt], recordings[:, excerpt]).mean()


def chain_figures(model, batch: dict, beams: int = 10) -> dict[str, float]:
    """Accuracy of a model's first answers on a batch with true labels, while it trains.

    Chains are spelled in canonical form on both sides, so that accuracy is by equivalence class.

    Returns:
        accuracy_N for each length N in the batch, top5, knob_error (mean
        |û − u| of the medians given the true chain; circular for angles).
    """
    pictures = model.look(batch)
    z = model.encoder(pictures).float()
    orders = [tuple(x for x in row if x >= 0) for row in batch["order"].tolist()]
    found = [[order for order, _ in model.decoder.beam_search(row, beams)] for row in z]
    right = np.array([best[0] == order for best, order in zip(found, orders, strict=True)])
    lengths = np.array([len(order) for order in orders])
    figures = {
        f"accuracy_{n}": float(right[lengths == n].mean())
        for n in range(MAX_LENGTH + 1)
        if (lengths == n).any()
    }
    pairs = zip(found, orders, strict=True)
    figures["top5"] = float(np.mean([order in best[:5] for best, order in pairs]))
    _, mixtures = model.knob_losses(pictures, batch)
    errors = []
    for name, (rows, mixture) in mixtures.items():
        true = batch[f"knobs.{name}"][rows]
        panel = effects.get(name).panel
        errors.append(panel.distance(mixture.median().cpu().numpy(), true.cpu().numpy()).ravel())
    figures["knob_error"] = float(np.concatenate(errors).mean())
    return figures


def _validate(model: InverseModel, data: ChainData, device: str, weights: Weights) -> dict:
    batch = data.batch(np.arange(data.count), None, device)
    parts = {name: float(value) for name, value in model.losses(batch).items()}
    return {"score": weights.likelihood(parts), **parts, **chain_figures(model, batch)}


def train(
    data,
    out,
    steps: int | None = None,
    minutes: float | None = None,
    hybrid_steps: int = 0,
    batch: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    geometry: str = "hyperbolic",
    validation: int = 300,
    device: str | None = None,
    wandb: bool = False,
    start=None,
    config: ModelConfig | None = None,
    masked: float = 0.0,
    only: str | None = None,
    resident: bool = False,
    validate_every: int = 500,
) -> FitResult:
    """Train the whole model; the same call resumes a broken run.

    First the likelihood of chain, switches and knobs (teacher forcing throughout). Then, for
    ``hybrid_steps`` at a tenth of the learning rate, the spectral term through the frozen proxies
    joins in.

    Args:
        data: folder of a chains data set, or several. out: run folder; ``model.safetensors`` in it
            is the result: the state of the last stage with the lowest held-out likelihood loss.
        steps, minutes: budget of the first stage, at least one of them.
        batch: items a step.
        geometry: a key of decoder.CORES.
        validation: held-out chains, drawn from a stream of their own.
        device: "cpu", "cuda", …; None takes CUDA when there is one.
        start: weights to begin from, instead of random ones; a part of the model that this file
            does not have, or has in another size, begins at random.
        config: sizes and inputs of the model.
        masked: as of ChainData.
        only: a key of model.PARTS, "chain" or "knobs": the other part stays as it is.
        resident: keep the data in the memory of the device. Sets that are not finished yet will do
            then, from their first shard on: what comes is taken up.
        validate_every: steps between validations in the first stage.

    Started by ``torchrun`` several processes train one model (parallel.py), ``batch`` items each.

    Raises:
        UnmixError: no such data set, a run folder of another run, diverged loss.
    """
    if geometry not in CORES:
        raise UnmixError(f"no decoder {geometry!r}; the decoders are {', '.join(CORES)}")
    if only is not None and only not in PARTS:
        raise UnmixError(f"no part {only!r}; the parts are {', '.join(PARTS)}")
    device = device or parallel.default_device()
    out, weights = Path(out), Weights()
    folders = data if isinstance(data, list | tuple) else [data]
    parts = tuple(PARTS) if only is None else (only,)
    unread = set.intersection(*(UNREAD[part] for part in parts))
    where = device if resident else None
    chains, configs = ChainData.open(*folders, masked=masked, resident=where, without=unread)
    torch.manual_seed(seed)
    model = InverseModel(replace(config or ModelConfig(), geometry=geometry))
    describe = {
        "data": configs,
        "items": sum(read_manifest(folder)["count"] for folder in folders),
        "batch": batch,
        "masked": masked,
        "only": only,
        "model": model.config.to_dict(),
    }
    if start is not None:
        tensors, _ = state.read(start)
        own = model.state_dict()
        fits = {k: v.float() for k, v in tensors.items() if k in own and v.shape == own[k].shape}
        if not fits:
            raise UnmixError(f"{start}: nothing in it fits this model")
        state.load_weights(start, model, own | fits)
        describe["start"] = file_hash(start)
    for part in set(PARTS) - set(parts):
        for name in PARTS[part]:
            model.get_submodule(name).requires_grad_(False)

    def likelihood(rng) -> tuple[torch.Tensor, dict]:
        for each in chains.sets if resident else ():
            each.grow()
        items = chains.batch(chains.draw(rng, batch), rng, device, unread)
        with _half_on_cpu(device):
            losses = model.losses(items, parts)
        loss = weights.symbolic(losses)
        return loss, {name: float(value.detach()) for name, value in losses.items()}

    def step_likelihood(step, rng):
        return likelihood(rng)

    held_out = cache(lambda: validation_data(seed, validation))

    def validate():
        return _validate(model, held_out(), device, weights)

    shared = {"weight_decay": 0.02, "clip": 5.0, "seed": seed, "describe": describe}
    how = {"score": "score", "device": device, "wandb": wandb}
    budget = FitConfig(steps, minutes, learning_rate, validate_every=validate_every, **shared)
    result = fit(model, step_likelihood, validate, out, budget, **how)
    best = out
    if result.finished and hybrid_steps:
        tensors, _ = state.read(out / state.BEST, device)
        state.load_weights(out / state.BEST, model, tensors)
        spectral = SpectralTerm(configs, device=device)

        def step_hybrid(step, rng):
            loss, figures = likelihood(rng)
            heard = spectral(model, chains, int(rng.integers(chains.count)), rng)
            return loss + weights.spectral * heard, {**figures, "spectral": float(heard.detach())}

        budget = FitConfig(hybrid_steps, None, learning_rate / 10, validate_every=100, **shared)
        best = out / HYBRID
        result = fit(model, step_hybrid, validate, best, budget, **how)
    if result.finished and parallel.rank() == 0:
        tensors, about = state.read(best / state.BEST, device)
        state.load_weights(best / state.BEST, model, tensors)
        about = {"config": model.config.to_dict(), **about, "data": configs, "seed": seed}
        if only is not None:
            about["only"] = only
        state.save_weights(out / MODEL, model, about)
    return result
