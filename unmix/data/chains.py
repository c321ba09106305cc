"""Random pairs and chains, each sample fixed by its seed and number alone.

``PairSampler`` gives (dry, wet) pairs of one effect, for its proxy. ``ChainSampler`` gives whole
chains: labels and features of the recording. Nothing here is written to disk (see shards.py).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from unmix import effects
from unmix.audio import corpus, signals, synthetic
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import MAX_LENGTH, Chain, canonical_order
from unmix.data.degradation import KINDS, degrade
from unmix.data.sampler import _CHAINS, _TEST, _peak_ok, _Sampler
from unmix.dsp import losses
from unmix.effects import EffectSet
from unmix.errors import UnmixError
from unmix.features import packing, spec, spectra
from unmix.features.extract import extract

FAMILY = 2 * MAX_LENGTH - 1
AUDIBLE_MSS = 0.15  # an effect nearer than this to its own absence is drawn again
AUDIBLE_SIZES = (1024, 128)
DRAWS = 12
SOURCE_SHARES = {"probe": 0.6, "noise": 0.03, "chirp": 0.03, "impulse": 0.02, "synthetic": 0.32}
EMPTY_SHARE = 0.05
DEGRADED_SHARE = 0.25


def audible(wet: np.ndarray, without: np.ndarray) -> bool:
    """Whether two renders (samples,) are at least AUDIBLE_MSS apart (multi-scale STFT)."""
    pair = [torch.from_numpy(np.ascontiguousarray(x))[None] for x in (wet, without)]
    return float(losses.mss(*pair, sizes=AUDIBLE_SIZES, overlap=1)) >= AUDIBLE_MSS


class ChainSampler(_Sampler):
    """Chains on a source, as labels and features.

    FAMILY items in a row are a family: a random chain of five effects and its beginnings of one,
    two, three and four, rendered once; each effect is audible where it ends the chain. Then the
    twins of those with two effects or more: the same settings, two neighbours somewhere swapped.
    What tells twins apart is their order alone, which a network would else guess from what it
    remembers of a family. With ``independent`` every item is a chain of its own in which every
    effect is audible (a render without it is AUDIBLE_MSS away), for testing; its random stream is
    apart from training's.

    Args:
        seed: with the item's number it decides everything.
        shares: probability of each source; the rest of the keys as SOURCE_SHARES.
        folder: audio folder that takes ``folder_share`` of the share of "synthetic".
        degraded: share of recordings that go through ``degradation.degrade``.
        degradation: the one kind (degradation.KINDS) that they go through; several at random if
            None.
        independent: see above.
        effects: that chains are made of, in the order of their numbers; all installed ones if
            None.
        length: fixed chain length (only with independent); 1…5 in turn if None.
    """

    OPTIONS = (
        *("seed", "shares", "folder", "degraded", "independent", "length", "folder_share"),
        *("degradation", "effects"),
    )

    def __init__(
        self,
        seed: int,
        shares: dict[str, float] | None = None,
        folder=None,
        degraded: float = DEGRADED_SHARE,
        independent: bool = False,
        length: int | None = None,
        folder_share: float = 0.5,
        degradation: str | None = None,
        effects: Iterable[str] | EffectSet | None = None,
    ):
        shares = dict(shares or SOURCE_SHARES)
        if unknown := set(shares) - set(SOURCE_SHARES):
            raise UnmixError(f"no source {sorted(unknown)[0]!r}; use {', '.join(SOURCE_SHARES)}")
        if degradation not in (None, *KINDS):
            raise UnmixError(f"no degradation {degradation!r}; use {', '.join(KINDS)}")
        self.effects = EffectSet.of(effects)
        self.folder = corpus.Folder(folder) if folder else None
        self.config = {
            "kind": "chains",
            "seed": seed,
            "shares": shares,
            "folder": str(folder) if folder else None,
            "degraded": degraded,
            "degradation": degradation,
            "independent": independent,
            "length": length,
            "folder_share": folder_share,
            "effects": list(self.effects.names),
            "audible_mss": AUDIBLE_MSS,
            "family_size": 1 if independent else FAMILY,
            "twins": None if independent else "swapped anywhere",
            "features": spec.VERSION,
        }
        self.family_size = self.config["family_size"]

    def _rng(self, family: int) -> np.random.Generator:
        stream = _TEST if self.config["independent"] else _CHAINS
        return np.random.default_rng([stream, self.config["seed"], family])

    def _source(self, rng: np.random.Generator) -> np.ndarray:
        shares = self.config["shares"]
        p = np.array(list(shares.values()))
        kind = str(rng.choice(list(shares), p=p / p.sum()))
        if kind != "synthetic":
            return signals.fixed(kind)
        if self.folder and rng.random() < self.config["folder_share"]:
            return self.folder.excerpt(rng, spectra.WINDOW)
        return synthetic.synthetic(rng, spectra.WINDOW)

    def _grow(self, rng, source: np.ndarray, order: list[str]):
        """Settings and renders of every beginning of a chain, or None if no audible draw came."""
        steps, renders = [], [source]
        for name in order:
            effect = effects.get(name)
            for _ in range(DRAWS):
                settings = effect.sample(rng)
                wet = effect.render(renders[-1], SAMPLE_RATE, settings)
                if _peak_ok(wet) and audible(wet, renders[-1]):
                    break
            else:
                return None
            steps.append((name, settings))
            renders.append(wet)
        return steps, renders

    def _every_effect_audible(self, source, steps, renders) -> bool:
        for i in range(len(steps) - 1):  # the last one was checked as it was drawn
            without = Chain(steps[i + 1 :]).render(renders[i], SAMPLE_RATE)
            if not audible(renders[-1], without):
                return False
        return True

    def _draw(self, rng, length: int):
        """One source with a chain of ``length`` on it: source, steps, renders of its beginnings."""
        while True:
            source = self._source(rng)
            order = list(canonical_order(rng.permutation(self.effects.names)[:length].tolist()))
            grown = self._grow(rng, source, order)
            if grown is None:
                continue
            if self.config["independent"] and not self._every_effect_audible(source, *grown):
                continue
            return source, *grown

    def length(self, i: int) -> int:
        """Length of the chain of item i of an independent sampler."""
        return self.config["length"] or 1 + i % MAX_LENGTH

    def example(self, i: int) -> tuple[np.ndarray, Chain, np.ndarray]:
        """Source (WINDOW,), true chain and recording (WINDOW,) of item i (independent only)."""
        rng = self._rng(i)
        source, steps, renders = self._draw(rng, self.length(i))
        return source, Chain(steps), self._degraded(renders[-1], source, rng)

    def _degraded(self, recording, source, rng) -> np.ndarray:
        if rng.random() >= self.config["degraded"]:
            return recording
        return degrade(recording, source, rng, self.config["degradation"])

    def audio_family(self, family: int) -> tuple[np.ndarray, list[tuple[Chain, np.ndarray]]]:
        """The source and the (chain, recording) pairs of a family, before features."""
        if self.config["independent"]:
            source, chain, recording = self.example(family)
            return source, [(chain, recording)]
        rng = self._rng(family)
        source, steps, renders = self._draw(rng, min(MAX_LENGTH, len(self.effects)))
        pairs = []
        for n in range(1, len(renders)):
            n = 0 if n == 1 and rng.random() < EMPTY_SHARE else n
            pairs.append((Chain(steps[:n]), self._degraded(renders[n], source, rng)))
        for n in range(2, len(renders)):
            chain, wet = self._swapped_negative(rng, steps[:n], renders)
            pairs.append((chain, self._degraded(wet, source, rng)))
        return source, pairs

    @staticmethod
    def _swapped_negative(rng, steps: list, renders: list) -> tuple[Chain, np.ndarray]:
        """A beginning with two neighbours swapped; where that sounds the same or leaves
        PEAK_RANGE_DB, with the last effect drawn anew."""
        lti = [effects.get(name).linear_time_invariant for name, _ in steps]
        places = [k for k in range(len(steps) - 1) if not (lti[k] and lti[k + 1])]
        if places:
            k = int(rng.choice(places))
            swapped = [*steps[:k], steps[k + 1], steps[k], *steps[k + 2 :]]
            wet = Chain(swapped[k:]).render(renders[k], SAMPLE_RATE)
            if _peak_ok(wet):
                return Chain(swapped), wet
        *before, (name, _) = steps
        effect = effects.get(name)
        while True:
            settings = effect.sample(rng)
            wet = effect.render(renders[len(before)], SAMPLE_RATE, settings)
            if _peak_ok(wet):
                return Chain([*before, (name, settings)]), wet

    def family(self, family: int) -> list[dict[str, np.ndarray]]:
        """Items of one family: features as ``features.pack`` leaves them, ``on_probe`` 1 or 0,
        ``order`` (5,) of the effects' numbers, −1 behind the end, and ``knobs.NAME`` /
        ``switches.NAME`` of every effect (zeros where absent)."""
        source, pairs = self.audio_family(family)
        on_probe = {"on_probe": np.float16(np.array_equal(source, signals.probe()))}
        source = torch.from_numpy(source)[None]
        recordings = torch.from_numpy(np.stack([wet for _, wet in pairs]))
        heard = extract(recordings, source)
        heard = packing.pack({name: values.numpy() for name, values in heard.items()})
        return [
            {k: v[i] for k, v in heard.items()} | on_probe | labels(chain, self.effects)
            for i, (chain, _) in enumerate(pairs)
        ]

    def item(self, i: int) -> dict[str, np.ndarray]:
        """Item i alone (a family's items come from ``family``)."""
        return self.family(i // self.family_size)[i % self.family_size]


def labels(chain: Chain, vocabulary: EffectSet) -> dict[str, np.ndarray]:
    """A chain of effects of a vocabulary in canonical order as arrays; see ChainSampler.family."""
    order = np.full(MAX_LENGTH, -1, np.int64)
    settings = dict(chain.steps)
    ordered = canonical_order(chain.names)
    order[: len(ordered)] = [vocabulary.index(name) for name in ordered]
    result = {"order": order}
    for name in vocabulary.names:
        effect = effects.get(name)
        knobs, switches = effect.to_unit(settings.get(name, {}))
        present = name in settings
        result[f"knobs.{name}"] = knobs * present
        result[f"switches.{name}"] = switches * present
    return result
