"""Random chains on random sources, each item fixed by its seed and number alone.

Nothing here is written to disk (see generate.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import torch

from unmix import effects
from unmix.audio import signals
from unmix.audio.io import SAMPLE_RATE
from unmix.chain import MAX_LENGTH, Chain, canonical_order
from unmix.data import degradation, sampler
from unmix.data.sampler import CHAINS_STREAM, TEST_STREAM, Sampler, peak_in_range
from unmix.data.sources import SOURCE_SHARES, Sources
from unmix.dsp import losses
from unmix.effects import EffectSet
from unmix.errors import UnmixError
from unmix.features import packing, spec
from unmix.features.extract import extract

FAMILY = 2 * MAX_LENGTH - 1  # items: beginnings of 1 … 5 effects, swapped ones of 2 … 5
AUDIBLE_MSS = 0.15  # an effect nearer than this to its own absence is drawn again
AUDIBLE_SIZES = (1024, 128)
DRAWS = 12  # of an effect's settings, before the whole chain is drawn again
EMPTY_SHARE = 0.05  # of the beginnings of one effect
DEGRADED_SHARE = 0.25


def audible(wet: np.ndarray, without: np.ndarray) -> bool:
    """Whether two renders (samples,) are at least AUDIBLE_MSS apart (multi-scale STFT)."""
    pair = [torch.from_numpy(np.ascontiguousarray(x))[None] for x in (wet, without)]
    return float(losses.mss(*pair, sizes=AUDIBLE_SIZES, overlap=1)) >= AUDIBLE_MSS


@dataclass(frozen=True)
class ChainOptions:
    """What a ChainSampler may be told besides seed and shares.

    Args:
        folder: audio folder that takes ``folder_share`` of the share of "synthetic".
        degraded: share of recordings that go through ``degradation.degrade``.
        degradation: the one kind (degradation.KINDS) that they go through; several at random if
            None.
        independent: every item is a chain of its own, for testing.
        length: fixed chain length (only with independent); 1…5 in turn if None.
        effects: that chains are made of, in the order of their numbers; all installed ones if
            None.
    """

    folder: str | None = None
    folder_share: float = 0.5
    degraded: float = DEGRADED_SHARE
    degradation: str | None = None
    independent: bool = False
    length: int | None = None
    effects: Iterable[str] | EffectSet | None = None


class ChainSampler(Sampler):
    """Chains on a source, as labels and features.

    FAMILY items in a row are a family: a random chain of five effects and its beginnings of one,
    two, three and four, rendered once; each effect is audible where it ends the chain. Then an
    order-swapped negative of each with two effects or more: the same settings, two neighbours
    somewhere swapped. Only the order tells the two apart; without them a network could tell the
    order from the settings of a family that it remembers.

    With ``independent`` every item is a chain of its own in which every effect is audible (a
    render without it is AUDIBLE_MSS away), for testing; its random stream is apart from training's.

    Args:
        seed: with the item's number it decides everything.
        shares: probability of each source, relative to the others; SOURCE_SHARES if None.
        options: see ChainOptions.

    Raises:
        UnmixError: an unknown source, degradation or effect, no folder, or no audio in it.
    """

    def __init__(
        self,
        seed: int,
        shares: dict[str, float] | None = None,
        options: ChainOptions = ChainOptions(),
    ):
        kinds = degradation.KINDS
        if options.degradation not in (None, *kinds):
            raise UnmixError(f"no degradation {options.degradation!r}; use {', '.join(kinds)}")
        shares = dict(shares or SOURCE_SHARES)
        folder = str(options.folder) if options.folder else None
        self.sources = Sources(shares, folder, options.folder_share)
        self.effects = EffectSet.of(options.effects)
        super().__init__(
            {
                "kind": "chains",
                "seed": seed,
                "shares": shares,
                **{field.name: getattr(options, field.name) for field in fields(options)},
                "folder": folder,
                "effects": self.effects.names,
                "family_size": 1 if options.independent else FAMILY,
                "twins": None if options.independent else "swapped anywhere",
                "features": spec.VERSION,
                "peak_range_db": sampler.PEAK_RANGE_DB,
                "audible_mss": AUDIBLE_MSS,
                "audible_sizes": AUDIBLE_SIZES,
                "draws": DRAWS,
                "empty_share": EMPTY_SHARE,
                "degradations": degradation.constants(),
            },
            self.effects.names,
        )
        self.family_size = self.config["family_size"]

    @staticmethod
    def from_config(config: dict) -> ChainSampler:
        """The sampler of a data set, from the configuration in its manifest; what it makes is
        what the set holds where its own ``config`` is the same."""
        options = {field.name: config[field.name] for field in fields(ChainOptions)}
        return ChainSampler(config["seed"], config["shares"], ChainOptions(**options))

    def _rng(self, family: int) -> np.random.Generator:
        stream = TEST_STREAM if self.config["independent"] else CHAINS_STREAM
        return np.random.default_rng([stream, self.config["seed"], family])

    def _grow(self, rng, source: np.ndarray, order: list[str]):
        """Settings of a chain's effects and renders of all its beginnings, from the dry source on;
        None if DRAWS settings of an effect were all inaudible or out of PEAK_RANGE_DB."""
        steps, renders = [], [source]
        for name in order:
            effect = effects.get(name)
            for _ in range(DRAWS):
                settings = effect.sample(rng)
                wet = effect.render(renders[-1], SAMPLE_RATE, settings)
                if peak_in_range(wet) and audible(wet, renders[-1]):
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
            source = self.sources.draw(rng)
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
        return degradation.degrade(recording, source, rng, self.config["degradation"])

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
            if peak_in_range(wet):
                return Chain(swapped), wet
        *before, (name, _) = steps
        effect = effects.get(name)
        while True:
            settings = effect.sample(rng)
            wet = effect.render(renders[len(before)], SAMPLE_RATE, settings)
            if peak_in_range(wet):
                return Chain([*before, (name, settings)]), wet

    def family(self, family: int) -> list[dict[str, np.ndarray]]:
        """Items of one family: features as ``packing.pack`` leaves them, ``on_probe`` 1 or 0, and
        the ``labels`` of the chain."""
        source, pairs = self.audio_family(family)
        on_probe = {"on_probe": np.float16(np.array_equal(source, signals.probe()))}
        source = torch.from_numpy(source)[None]
        recordings = torch.from_numpy(np.stack([wet for _, wet in pairs]))
        features = extract(recordings, source)
        features = packing.pack({name: values.numpy() for name, values in features.items()})
        return [
            {k: v[i] for k, v in features.items()} | on_probe | labels(chain, self.effects)
            for i, (chain, _) in enumerate(pairs)
        ]

    def item(self, i: int) -> dict[str, np.ndarray]:
        """Item i alone (a family's items come from ``family``)."""
        return self.family(i // self.family_size)[i % self.family_size]


def labels(chain: Chain, vocabulary: EffectSet) -> dict[str, np.ndarray]:
    """A chain in canonical order as arrays.

    Args:
        vocabulary: the effects that a data set knows, the chain's among them.

    Returns:
        ``order`` (MAX_LENGTH,) int64, the effects' numbers, −1 behind the end; and of every effect
        ``knobs.NAME`` (K,) in 0…1 and ``switches.NAME`` (S,) option numbers, zeros where absent.
    """
    order = np.full(MAX_LENGTH, -1, np.int64)
    settings = dict(chain.steps)
    ordered = canonical_order(chain.names)
    order[: len(ordered)] = [vocabulary.index(name) for name in ordered]
    result = {"order": order}
    for name in vocabulary.names:
        knobs, switches = effects.get(name).to_unit(settings.get(name, {}))
        present = name in settings
        result[f"knobs.{name}"] = knobs * present
        result[f"switches.{name}"] = switches * present
    return result
