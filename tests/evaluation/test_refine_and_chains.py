"""Metrics of network and refine: measured on models that are known to be right or wrong."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from unmix import effects
from unmix.chain import Chain
from unmix.cli.tables.metrics import chains as chain_tables
from unmix.effects import EffectSet
from unmix.errors import UnmixError
from unmix.evaluation import baselines, chains, held_out, refine, scoring
from unmix.features.packing import unpack
from unmix.inference.reranker import Reranker
from unmix.networks.posterior import Posterior
from unmix.nn.mixture_density import Mixture, to_normal

SHARP = 1e3  # precision of a posterior that knows


def mixture(name, knobs, sharp):
    """One component at ``knobs`` (K,)."""
    u = torch.from_numpy(knobs)[None]
    circular = torch.from_numpy(effects.get(name).panel.circular)
    numbers = int((~circular).sum())
    angle = 2 * np.pi * u[:, circular]
    return Mixture(
        torch.zeros(1, 1),
        to_normal(u[:, ~circular])[:, None],
        sharp * torch.eye(numbers)[None, None],
        angle[:, None],
        torch.full_like(angle, min(sharp**2, 500.0))[:, None],
        circular,
    )


class Informed(nn.Module):
    """Infers what it is told: ``tell`` makes (chain, knobs by effect) of each true chain."""

    effects = EffectSet.of(None)

    def __init__(self, sampler, tell, sharp=SHARP):
        super().__init__()
        self.sampler, self.tell, self.sharp, self.asked = sampler, tell, sharp, 0

    def infer(self, features, beams):
        chain = self.tell(self.sampler.example(self.asked)[1])
        self.asked += 1
        units = {name: effects.get(name).to_unit(settings) for name, settings in chain.steps}
        return [
            [
                Posterior(
                    tuple(effects.names().index(name) for name in chain.names),
                    0.0,
                    {name: mixture(name, knobs, self.sharp) for name, (knobs, _) in units.items()},
                    {name: torch.from_numpy(switches) for name, (_, switches) in units.items()},
                    {},
                    self.effects,
                )
            ]
        ]

    def posterior_medians(self, features, posteriors):
        """The same of every render, so that there is no bias to correct."""
        names = dict.fromkeys(name for posterior in posteriors for name in posterior.names)
        return {
            name: torch.cat([b.mixtures[name].median() for b in posteriors if name in b.names])
            for name in names
        }


def measured(tell, count=6, length=3, **options):
    sampler = held_out.held_out(5, "probe", length=length)
    model = Informed(sampler, tell, **options)
    return chains.chains(chains.ChainsEvaluation(count, seed=5, length=length), model)


class Doubting(Informed):
    """Finds the reversed chain a little more probable than the true one."""

    def infer(self, features, beams):
        chain = self.sampler.example(self.asked)[1].canonical()
        posteriors = []
        for log_prob, steps in ((-0.6, chain.steps[::-1]), (-0.9, chain.steps)):
            self.tell = lambda _, steps=steps: Chain(steps).canonical()
            posteriors.append(replace(super().infer(features, beams)[0][0], log_prob=log_prob))
            self.asked -= 1
        self.asked += 1
        return [posteriors]


def test_re_ranking_beside_the_network_alone():
    sampler = held_out.held_out(5, "probe", length=3)
    reranker = Reranker(EffectSet.of(None)).eval()
    with torch.no_grad():
        reranker.weights.bias.fill_(-0.01)  # errors count against a candidate
    evaluation = chains.ChainsEvaluation(4, seed=5, length=3)
    figures = chains.chains(evaluation, Doubting(sampler, None), reranker)
    assert figures["all"]["equivalence"] == 1 and figures["all"]["top5"] == 1
    assert figures["alone"]["all"]["equivalence"] < 1 and figures["alone"]["all"]["top5"] == 1
    tables = [table.title for table in chain_tables(figures)]
    assert any("Beside other answers: named rightly" in title for title in tables)
    model = Doubting(sampler, None)
    hidden = chains.chains(replace(evaluation, hidden_source=True), model, reranker)
    assert hidden["all"]["equivalence"] == figures["alone"]["all"]["equivalence"]
    assert "alone" not in hidden


def test_a_model_that_knows():
    figures = measured(lambda chain: chain.canonical())["all"]
    assert (figures["count"], figures["equivalence"], figures["set"], figures["top5"]) == (
        6,
        1,
        1,
        1,
    )
    assert figures["edit"] == 0 and figures["switches"] == 1
    assert figures["knob_error"] < 0.002 and figures["audible_knob_error"] < 0.002
    assert figures["raw"] <= figures["equivalence"] and figures["ceiling"] <= 1


def test_a_model_that_drops_the_last_effect():
    figures = measured(lambda chain: Chain(chain.canonical().steps[:-1]))
    every = figures["all"]
    assert (every["equivalence"], every["set"], every["top5"], every["raw"]) == (0, 0, 0, 0)
    assert every["edit"] == 1 and every["knob_error"] < 0.002
    rows = figures["effects"].values()
    assert sum(row["there"] for row in rows) == 18 and sum(row["found"] for row in rows) == 12
    assert sum(row["false"] for row in rows) == 0


def test_a_model_that_turns_the_chain_round():
    figures = measured(lambda chain: Chain(chain.steps[::-1]).canonical(), count=4)["all"]
    assert figures["set"] == 1 and figures["equivalence"] < 1 and figures["edit"] > 0


def test_coverage_of_posteriors_that_are_too_narrow_and_too_wide():
    def off(chain):
        steps = []
        for name, settings in chain.canonical().steps:
            knobs, switches = effects.get(name).to_unit(settings)
            knobs = np.where(knobs < 0.5, knobs + 0.3, knobs - 0.3).astype(np.float32)
            steps.append((name, effects.get(name).from_unit(knobs, switches)))
        return Chain(steps)

    sure = measured(off, count=2)["all"]
    wide = measured(off, count=2, sharp=0.1)["all"]
    assert sure["knob_error"] == pytest.approx(0.3, abs=1e-4)
    assert sure["coverage"] == {0.5: 0, 0.8: 0, 0.9: 0}
    assert wide["coverage"][0.9] > 0.9


def test_confusion_aligns_the_chains():
    names = effects.names()
    figures = measured(lambda chain: Chain(chain.canonical().steps[1:]), count=5)
    table, gone = figures["confusion"], chains.NOTHING
    assert sum(table[name][gone] for name in names) == 5  # the first of each chain
    assert sum(table[name][name] for name in names) == 10
    assert sum(sum(row.values()) for row in table.values()) == 15


def test_errors_by_knob_count_the_audible_ones():
    figures = measured(lambda chain: chain.canonical(), count=2)
    rows = [row for knobs in figures["knobs"].values() for row in knobs.values()]
    assert sum(row["audible"] for row in rows) > 5 and max(row["error"] for row in rows) < 0.01


def test_a_lost_level_is_not_told_to_the_network():
    known = []

    class Listening(Informed):
        def infer(self, features, beams):
            known.append(float(features["level_known"]))
            return super().infer(features, beams)

    for kind in ("gain", "noise"):
        sampler = held_out.held_out(5, "probe", 1.0, degradation=kind, length=1)
        model = Listening(sampler, lambda chain: chain.canonical())
        chains.chains(chains.ChainsEvaluation(1, 5, length=1, degrade=kind), model)
    assert known == [0, 1]


def test_baselines_answer_from_the_training_set(tmp_path):
    """Asked for items of the data set itself, the nearest neighbour is the item."""
    from unmix.data.chains import ChainSampler
    from unmix.data.generate import generate
    from unmix.data.reader import Reader

    generate(ChainSampler(3, shares={"probe": 1.0}), 20, tmp_path / "data", workers=1)
    items = Reader(tmp_path / "data").load()
    asked = []
    for i in (3, 8, 19):
        chain = baselines._item_chain(items, i, effects.names())
        features = {k: unpack(k, torch.from_numpy(v[i : i + 1])) for k, v in items.items()}
        every = {name: np.ones(len(effects.get(name).knobs), bool) for name in chain.names}
        vector = scoring.coarse(features)[0].numpy()
        asked.append({"chain": chain, "audible": every, "tie": 0, "coarse": vector})
    rows = baselines.baselines(tmp_path / "data", asked)
    for row in rows["nearest neighbour"]:
        assert row["equivalence"] and row["top5"]
        assert max(held_out.last(row["audible"])) < 1e-6
    commonest = {row["named"] for row in rows["most frequent"]}
    orders = [tuple(row) for row in items["order"].tolist()]
    assert len(commonest) == 1
    times = orders.count(max(orders, key=orders.count))
    named = tuple([*map(effects.names().index, next(iter(commonest))), -1, -1, -1, -1, -1][:5])
    assert orders.count(named) == times


def test_knob_errors_by_hand():
    name = next(n for n in effects.names() if effects.get(n).panel.circular.any())
    fx = effects.get(name)
    turn = next(k for k in fx.knobs if k.circular)
    last = turn.low + 0.9 * (turn.high - turn.low)
    first = turn.low + 0.1 * (turn.high - turn.low)
    answer, true = (Chain([(name, {turn.name: value})]) for value in (last, first))
    audible = {name: np.array([k is turn for k in fx.knobs])}
    found = held_out.knob_errors(answer, true, audible)
    assert found["audible"] == [(name, turn.name, pytest.approx(0.2, abs=1e-6))]
    assert sum(held_out.last(found["knobs"])) == pytest.approx(0.2, abs=1e-6)
    assert held_out.last(found["switches"]) == [True] * len(fx.switches)
    assert not any(held_out.knob_errors(Chain(), true, audible).values())


def test_a_band_without_gain_has_no_audible_frequency():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 22_050).astype(np.float32)
    chain = Chain([("eq", {"gain_2": 0.0, "gain_3": 12.0})])
    flags = held_out.audible_knobs(noise, chain)["eq"]
    audible = dict(zip((k.name for k in effects.get("eq").knobs), flags, strict=True))
    assert audible["gain_2"] and audible["gain_3"] and audible["freq_3"] and audible["q_3"]
    assert not audible["freq_2"] and not audible["q_2"]


def test_refine_is_never_worse_by_the_real_render():
    figures = refine.refine(refine.RefineEvaluation(count=1, seed=3, steps=4))
    row = figures["all"]
    assert row["count"] == 1 and row["worse"] == 0 and row["mss_after"] <= row["mss_before"]
    assert set(figures["by_length"]) == {1}


class Silent:
    """A model that cannot answer."""

    effects = EffectSet.of(None)


def test_an_evaluation_that_was_broken_off_goes_on(tmp_path):
    path, about = tmp_path / "items.json", {"seed": 3}
    evaluation = refine.RefineEvaluation(1, seed=3, steps=2, length=1)
    first = refine.refine(evaluation, items=held_out.Items(path, about))
    again = refine.refine(evaluation, items=held_out.Items(path, about), model=Silent())
    assert again["all"] == first["all"]  # a model that cannot answer was not asked
    both = refine.refine(replace(evaluation, count=2), items=held_out.Items(path, about))
    assert both["count"] == 2 and len(held_out.Items(path, about).rows) == 2
    with pytest.raises(UnmixError, match="another evaluation"):
        held_out.Items(path, {"seed": 4})
    path.write_text("[]")
    with pytest.raises(UnmixError, match="not the items"):
        held_out.Items(path, about)


def test_bad_counts():
    with pytest.raises(UnmixError, match="count must be 1 or more"):
        chains.chains(chains.ChainsEvaluation(count=0))
    with pytest.raises(UnmixError, match="count and steps"):
        refine.refine(refine.RefineEvaluation(count=1, steps=0))


def test_commands(unmix_cli, tmp_path):
    result = unmix_cli("evaluate", "chains", "--count", 5, "--json", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["count"] == 5 and set(figures["by_length"]) == {"1", "2", "3", "4", "5"}
    assert json.loads((tmp_path / "chains.json").read_text()) == figures
    assert (tmp_path / "chains.png").read_bytes().startswith(b"\x89PNG")
    assert "in 90 %" in result.stderr
    options = ("--count", 1, "--steps", 2, "--rivals", "--json", "--out", tmp_path)
    result = unmix_cli("evaluate", "refine", *options)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["all"]["worse"] == 0 and len(figures["rivals"]) == 3
    assert (tmp_path / "refine.png").read_bytes().startswith(b"\x89PNG")
    assert "…" not in result.stderr  # no column is cut short in 80 columns
