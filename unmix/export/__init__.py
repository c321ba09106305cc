"""A chain as files for other programs: JSON, a Python program, REAPER devices, a list of knobs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from unmix.errors import UnmixError

if TYPE_CHECKING:
    from unmix.analysis.result import Result
    from unmix.chain import Chain

FORMATS = ("json", "script", "reaper", "text")
ALL = "all"


def expand(formats: Iterable[str]) -> tuple[str, ...]:
    """The formats that are asked for, each once, in the order of FORMATS; "all" means every one.

    Raises:
        UnmixError: there is no such format.
    """
    wanted = set(formats)
    if unknown := sorted(wanted - {*FORMATS, ALL}):
        raise UnmixError(
            f"no export format {unknown[0]!r}; the formats are {', '.join(FORMATS)} and {ALL}"
        )
    return FORMATS if ALL in wanted else tuple(f for f in FORMATS if f in wanted)


def write(
    chain: Chain, name: str, folder: Path, formats: Iterable[str], result: Result | None = None
) -> list[Path]:
    """Write a chain in ``formats`` into a folder.

    json: NAME.chain.json. script: NAME.chain.py, a program that needs no unmix. reaper:
    NAME.RfxChain and a folder "unmix" with its JSFX devices. text: NAME.knobs.txt, with how
    certain each knob is where ``result`` tells.

    Returns:
        The files written; a format is written as a whole or not at all.

    Raises:
        UnmixError: a folder that cannot be written, or an effect that a format cannot express;
            raised after all other formats are written.
    """
    from unmix.runtime.files import write_text

    written, failed = [], []
    for format_name in expand(formats):
        try:
            files = _files(format_name, chain, name, result)
        except UnmixError as error:
            failed.append(f"{format_name}: {error}")
            continue
        for path, text in files.items():
            write_text(folder / path, text)
            written.append(folder / path)
    if failed:
        raise UnmixError(f"not exported as {'; '.join(failed)}")
    return written


def _files(format_name: str, chain: Chain, name: str, result: Result | None) -> dict[str, str]:
    """{path below the folder: text} of one format."""
    from unmix.export import reaper, script, text

    match format_name:
        case "json":
            return {f"{name}.chain.json": chain.to_json() + "\n"}
        case "script":
            return {f"{name}.chain.py": script.script_text(chain)}
        case "reaper":
            return {f"{name}.RfxChain": reaper.chain_text(chain)} | reaper.devices(chain)
        case "text":
            return {f"{name}.knobs.txt": text.knobs_text(chain, name, result)}
    raise ValueError(format_name)
