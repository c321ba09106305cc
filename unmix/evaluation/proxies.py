"""Metrics of the proxies on held-out sounds: error, gradients, speed. Fixed by seed and count.

Pairs come from seeds that start at EVALUATION_SEED, chains from the stream of independent chains
(data.chains.ChainSampler); training draws from neither.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unmix import effects
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import proxy_render
from unmix.data.chains import ChainOptions, ChainSampler
from unmix.data.pairs import PairSampler
from unmix.dsp import losses
from unmix.errors import UnmixError
from unmix.evaluation.gradients import GradientCheck, batch_of_one, gradient_metrics
from unmix.runtime.workers import process_map
from unmix.search.parameter_batch import ParameterBatch
from unmix.search.point import InitialPoint

EVALUATION_SEED = 900_000
SPEED_SECONDS = 4.0
CHAIN_LENGTHS = (2, 3, 5)


def _spread(errors: list[float]) -> dict:
    return {
        "mean": float(np.mean(errors)),
        "median": float(np.median(errors)),
        "p95": float(np.percentile(errors, 95)),
    }


def _worst(errors: list[float], most: int, **about: list) -> list[dict]:
    """The items with the largest errors, each with what ``about`` has of it."""
    return [
        {"esr_db": errors[i], "item": int(i)} | {key: values[i] for key, values in about.items()}
        for i in np.argsort(errors)[::-1][:most]
    ]


@dataclass(frozen=True)
class _Pairs:
    """Held-out pairs of one effect, and the modules that try to make wet from dry."""

    sampler: PairSampler
    modules: dict

    @torch.no_grad()
    def item(self, i: int) -> dict:
        item = self.sampler.item(i)
        dry, wet, knobs, switches = batch_of_one(
            *(item[k] for k in ("dry", "wet", "knobs", "switches"))
        )
        result = {"settings": self.sampler.effect.from_unit(item["knobs"], item["switches"])}
        for name, module in self.modules.items():
            estimate = module(dry, knobs, switches)
            result[name] = losses.esr_db(estimate, wet), float(losses.mss(estimate, wet))
        return result


@dataclass(frozen=True)
class _Chains:
    """Chains of real effects against the same chains of proxies."""

    sampler: ChainSampler
    proxies: dict

    @torch.no_grad()
    def item(self, i: int) -> dict:
        dry, chain, recording = self.sampler.example(i)
        rows = ParameterBatch([InitialPoint(chain)])
        output = proxy_render(
            self.proxies, *batch_of_one(dry), rows.order, rows.knobs(), rows.switches
        )
        return {"esr_db": losses.esr_db(output, *batch_of_one(recording)), "chain": chain}


def _seconds_of(call, device: str, repeats: int = 3) -> float:
    """Fastest of a few runs, after one to warm up."""
    times = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def _speed(proxy, dry: np.ndarray, item: dict, device: str) -> dict:
    """{forward, gradient} of a proxy in × real time, batch 1."""
    proxy = copy.deepcopy(proxy).to(device)
    audio, knobs, switches = (
        x.to(device) for x in batch_of_one(dry, item["knobs"], item["switches"])
    )
    knobs.requires_grad_()

    def forward():
        with torch.no_grad():
            proxy(audio, knobs, switches)

    def gradient():
        proxy(audio, knobs, switches).square().mean().backward()

    return {
        "forward": SPEED_SECONDS / _seconds_of(forward, device),
        "gradient": SPEED_SECONDS / _seconds_of(gradient, device),
    }


def _speeds(effect, proxy, item: dict) -> dict:
    """Times real time on one thread: proxy, its gradient, the real effect; and on CUDA."""
    dry = np.resize(item["dry"], round(SPEED_SECONDS * SAMPLE_RATE))
    settings = effect.from_unit(item["knobs"], item["switches"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        real = _seconds_of(lambda: effect.render(dry, SAMPLE_RATE, settings), "cpu")
        result = _speed(proxy, dry, item, "cpu") | {"real_effect": SPEED_SECONDS / real}
    finally:
        torch.set_num_threads(threads)
    if torch.cuda.is_available():
        result["cuda"] = _speed(proxy, dry, item, "cuda")
    return result


@dataclass(frozen=True)
class ProxiesEvaluation:
    """Which held-out pairs and chains are measured.

    Attributes:
        count: pairs an effect, 1.5 s each; chains a length, 4 s each.
        seed: of both.
        folder: audio folder for all of the material, instead of synthetic music-like sources.
        gradients: pairs an effect for the gradient check; count if None, 0 for none.
        worst: how many of the worst cases to list with their settings.
        workers: processes of one thread each, if more than 1.
    """

    count: int = 500
    seed: int = 1
    folder: Path | None = None
    gradients: int | None = None
    worst: int = 3
    workers: int = 1


def proxies(
    evaluation: ProxiesEvaluation,
    names: Sequence[str] | None = None,
    load: Callable | None = None,
    baseline: Callable | None = None,
) -> dict:
    """Each proxy against its real effect on held-out sources with random knobs.

    Args:
        names: effects; all if None.
        load: name -> proxy; the bundled ones if None.
        baseline: name -> another module with the same interface, measured on the same pairs.

    Returns:
        {effect: {esr_db: {mean, median, p95}, mss, parameters, speed: {forward, gradient,
        real_effect} in × real time, worst: [{esr_db, item, settings}]}}; with gradients, gradient:
        {count, cosine (median), cosine_p10, right_sign (share of knobs)}; with a baseline,
        baseline: {esr_db, mss, parameters, speed}.

    Raises:
        UnmixError: no pair, or an effect that is not there.
    """
    from unmix.weights import load_proxy, proxied

    if evaluation.count < 1:
        raise UnmixError("count must be 1 or more")
    table = {}
    for name in names or proxied():
        modules = {"proxy": (load or load_proxy)(name)}
        if baseline:
            modules["baseline"] = baseline(name)
        table[name] = _of_effect(evaluation, name, modules)
    return table


def _of_effect(evaluation: ProxiesEvaluation, name: str, modules: dict) -> dict:
    """The metrics of one effect's proxy, and of its baseline."""
    count, workers, gradients = evaluation.count, evaluation.workers, evaluation.gradients
    options = {"folder": evaluation.folder, "folder_share": 1.0, "probe_share": 0.0}
    sampler = PairSampler(name, EVALUATION_SEED + evaluation.seed, **options)
    rows = process_map(_Pairs(sampler, modules), count, workers, name)
    metrics = {}
    for which, module in modules.items():
        errors, distances = zip(*(row[which] for row in rows), strict=True)
        metrics[which] = {
            "esr_db": _spread(errors),
            "mss": float(np.mean(distances)),
            "parameters": sum(p.numel() for p in module.parameters()),
            "speed": _speeds(effects.get(name), module, sampler.item(0)),
        }
    found = metrics.pop("proxy") | metrics
    errors, settings = [row["proxy"][0] for row in rows], [row["settings"] for row in rows]
    found["worst"] = _worst(errors, evaluation.worst, settings=settings)
    gradients = count if gradients is None else gradients
    if gradients:
        work = GradientCheck(sampler, modules["proxy"])
        checks = process_map(work, gradients, workers, f"{name} gradients")
        found["gradient"] = gradient_metrics(checks)
    return found


def chains(evaluation: ProxiesEvaluation, load: Callable | None = None) -> dict:
    """Chains of 2, 3 and 5 proxies in random order against the same chains of real effects.

    Args:
        load: name -> proxy; the bundled ones if None.

    Returns:
        {length: {esr_db: {mean, median, p95}, worst: [{esr_db, item, chain}]}}
    """
    from unmix.weights import load_proxy, proxied

    modules = {name: (load or load_proxy)(name) for name in proxied()}
    table = {}
    for length in CHAIN_LENGTHS:
        options = ChainOptions(evaluation.folder, 1.0, 0.0, None, True, length, tuple(modules))
        sampler = ChainSampler(EVALUATION_SEED + evaluation.seed, {"synthetic": 1.0}, options)
        work, what = _Chains(sampler, modules), f"chains of {length}"
        rows = process_map(work, evaluation.count, evaluation.workers, what)
        errors, steps = [row["esr_db"] for row in rows], [row["chain"].steps for row in rows]
        table[length] = {
            "esr_db": _spread(errors),
            "worst": _worst(errors, evaluation.worst, chain=steps),
        }
    return table
