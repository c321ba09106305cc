"""A chain as files for other programs. A new format is one module here and its row in EXPORTERS."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unmix.errors import UnmixError

if TYPE_CHECKING:
    from unmix.analysis.result import Result
    from unmix.chain import Chain


@dataclass(frozen=True)
class Exporter:
    """One format.

    Attributes:
        description: its files and what they are for, for --help.
        write: called as write(chain, name, result); gives {path below the folder: text}. ``name``
            is of the files. ``result`` adds what an analysis knows of the chain, or is None.
    """

    description: str
    write: Callable[[Chain, str, Result | None], dict[str, str]]


def _from(module: str) -> Callable[[Chain, str, Result | None], dict[str, str]]:
    """``files`` of a module of this package, imported when it is called: --help waits for none."""

    def write(chain: Chain, name: str, result: Result | None) -> dict[str, str]:
        return importlib.import_module(f"unmix.export.{module}").files(chain, name, result)

    return write


EXPORTERS = {
    "json": Exporter(
        "NAME.chain.json, with every setting (unmix schema chain describes it)", _from("json")
    ),
    "script": Exporter(
        "NAME.chain.py, a Python program that needs pedalboard but no unmix", _from("script")
    ),
    "reaper": Exporter(
        "NAME.RfxChain, and its JSFX devices in a folder to copy into REAPER's Effects",
        _from("reaper"),
    ),
    "text": Exporter("NAME.knobs.txt, to type into any DAW by hand", _from("text")),
}
FORMATS = tuple(EXPORTERS)
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

    Args:
        name: of the files, in front of what EXPORTERS says of each format.
        result: of the analysis that found the chain, if there was one.

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
            files = EXPORTERS[format_name].write(chain, name, result)
        except UnmixError as error:
            failed.append(f"{format_name}: {error}")
            continue
        for path, text in files.items():
            write_text(folder / path, text)
            written.append(folder / path)
    if failed:
        raise UnmixError(f"not exported as {'; '.join(failed)}")
    return written
