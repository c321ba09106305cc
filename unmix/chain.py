"""A chain: effects in order, with settings. Real render, JSON, and the canonical form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unmix import effects
from unmix.errors import UnmixError

if TYPE_CHECKING:
    import torch

FORMAT = "unmix-chain"
FORMAT_VERSION = 1
MAX_LENGTH = 5  # effects in a chain that is sampled or inferred


class Chain:
    """An ordered list of different effects with complete settings in units.

    Args:
        steps: pairs (effect name, settings); missing settings take their defaults.

    Raises:
        UnmixError: unknown effect, the same effect twice, unknown setting, value out of range.

    >>> chain = Chain([("saturator", {"drive": 12.0}), ("reverb", {"dry_wet": 25.0})])
    >>> chain.in_words()
    'saturator > reverb'
    >>> Chain.from_json(chain.to_json()) == chain
    True
    """

    def __init__(self, steps: Iterable[tuple[str, dict]] = ()):
        self.steps: list[tuple[str, dict]] = []
        for name, settings in steps:
            effect = effects.get(name)
            if name in self.names:
                raise UnmixError(f"{name} appears twice; a chain has each effect once at most")
            try:
                self.steps.append((name, effect.panel.complete(settings)))
            except UnmixError as error:
                raise UnmixError(f"{name}: {error}") from None

    @property
    def names(self) -> tuple[str, ...]:
        """The effects in order."""
        return tuple(name for name, _ in self.steps)

    def in_words(self, arrow: str = " > ", empty: str = "(no effect)") -> str:
        """The effects in order for a person: ``"saturator > eq"``."""
        return arrow.join(self.names) or empty

    def settings_in_words(self) -> str:
        """``"saturator: curve analog, drive +12.0 dB; reverb: …"``."""
        steps = ((name, effects.get(name).panel.in_words(own)) for name, own in self.steps)
        return "; ".join(f"{name}: {words}" for name, words in steps)

    def render(self, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        """Run audio (samples,) or (channels, samples) through the real effects; same shape."""
        audio = np.asarray(audio, np.float32)
        for name, settings in self.steps:
            audio = effects.get(name).render(audio, sample_rate, settings)
        return audio

    def canonical(self) -> Chain:
        """The same sound, with neighbours that may swap in registry order."""
        settings = dict(self.steps)
        return Chain([(name, settings[name]) for name in canonical_order(self.names)])

    def at_time(self, seconds: float) -> Chain:
        """The same devices for sound that begins so much later: their LFOs have run on."""
        return Chain((name, effects.get(name).at_time(s, seconds)) for name, s in self.steps)

    def to_json(self) -> str:
        """JSON text: {"format", "version", "chain": [{"effect": …, "settings": {…}}, …]}."""
        chain = [{"effect": name, "settings": settings} for name, settings in self.steps]
        document = {"format": FORMAT, "version": FORMAT_VERSION, "chain": chain}
        return json.dumps(document, indent=2, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Chain:
        """The chain in ``text``; UnmixError says what is wrong with it."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:  # bad syntax, endless numbers, deep nesting
            raise UnmixError(f"not JSON: {error}") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise UnmixError(f'not a chain file: "format" must be "{FORMAT}"')
        if document.get("version") != FORMAT_VERSION:
            raise UnmixError(
                f"chain file version {document.get('version')!r}; this program reads 1"
            )
        chain = document.get("chain")
        if not isinstance(chain, list):
            raise UnmixError('a chain file needs a list under "chain"')
        for place, step in enumerate(chain, 1):
            if not isinstance(step, dict) or not isinstance(step.get("settings", {}), dict):
                raise UnmixError(f'step {place} must look like {{"effect": …, "settings": {{…}}}}')
            if set(step) - {"effect", "settings"} or "effect" not in step:
                raise UnmixError(
                    f'step {place} has the key "effect", may have "settings", no others'
                )
        return Chain([(step["effect"], step.get("settings", {})) for step in chain])

    @staticmethod
    def from_file(path: Path) -> Chain:
        """The chain in a JSON file; UnmixError names the file and the fault."""
        try:
            return Chain.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UnmixError(f"{path}: {(error.strerror or str(error)).lower()}") from None
        except UnicodeDecodeError:
            raise UnmixError(f"{path}: not a chain file (not text)") from None
        except UnmixError as error:
            raise UnmixError(f"{path}: {error}") from None

    def __eq__(self, other: object) -> bool:
        """Same effects, order (up to equivalence) and settings."""
        return isinstance(other, Chain) and self.canonical().steps == other.canonical().steps

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Chain({self.steps!r})"


def canonical_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort every run of neighbouring linear time-invariant effects by registry order.

    They commute, so that chains which differ in nothing else cannot be told apart by ear or
    measurement.
    """
    rank = {name: i for i, name in enumerate(effects.names())}
    ordered: list[str] = []
    for name in names:
        place = len(ordered)
        if effects.get(name).linear_time_invariant:
            while (
                place > 0
                and effects.get(ordered[place - 1]).linear_time_invariant
                and rank[ordered[place - 1]] > rank[name]
            ):
                place -= 1
        ordered.insert(place, name)
    return tuple(ordered)


def equivalents(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """All orders of the same effects that nobody can tell apart from this one."""
    canonical = canonical_order(names)
    return [order for order in permutations(names) if canonical_order(order) == canonical]


def proxy_render(
    proxies: dict, audio: torch.Tensor, order: torch.Tensor, knobs: dict, switches: dict
) -> torch.Tensor:
    """Run a batch of different chains through proxies; differentiable in audio and knobs.

    At each place of the chains the rows that have the same effect there go through its proxy
    together.

    Args:
        proxies: {effect name: module}, for every effect that occurs.
        audio: tensor (B, samples) at 44.1 kHz.
        order: long tensor (B, length), the effects' places in ``knobs``, −1 where the chain has
            ended.
        knobs: {effect name: (B, K) tensor in 0…1}; rows without the effect are ignored.
        switches: {effect name: (B, S) long tensor}.

    Returns:
        (B, samples).
    """
    for place in range(order.shape[1]):
        for number, name in enumerate(knobs):
            rows = (order[:, place] == number).nonzero()[:, 0]
            if len(rows):
                wet = proxies[name](audio[rows], knobs[name][rows], switches[name][rows])
                audio = audio.index_copy(0, rows, wet.to(audio.dtype))
    return audio
