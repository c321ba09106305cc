"""A chain as JSON, which ``Chain.from_json`` reads again."""

from __future__ import annotations

from unmix.analysis.result import Result
from unmix.chain import Chain


def files(chain: Chain, name: str, result: Result | None = None) -> dict[str, str]:
    """{path: text} of the format "json"."""
    return {f"{name}.chain.json": chain.to_json() + "\n"}
