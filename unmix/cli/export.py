"""Commands that hand a chain to other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmix import export as formats
from unmix.cli.console import say
from unmix.errors import UnmixError

CHOICE = f"{', '.join(formats.FORMATS)} or {formats.ALL}"

app = typer.Typer()


def checked(wanted: list[str]) -> tuple[str, ...]:
    """The formats asked for; an unknown one is wrong usage."""
    try:
        return formats.expand(wanted)
    except UnmixError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def export(
    chain: Annotated[Path, typer.Argument(help="Chain file.", metavar="CHAIN.json")],
    wanted: Annotated[
        list[str] | None,
        typer.Option("--format", help=f"{CHOICE}; may be repeated.", metavar="FORMAT"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.", metavar="DIR")] = Path(),
) -> None:
    """Write a chain for other programs.

    \b
    json    NAME.chain.json, with every setting (unmix schema chain describes it)
    script  NAME.chain.py, a Python program that needs pedalboard but no unmix
    reaper  NAME.RfxChain, and its JSFX devices in a folder to copy into REAPER's Effects
    text    NAME.knobs.txt, to type into any DAW by hand

    \b
    Examples:
      unmix export take.chain.json --format script --format text
      unmix export take.chain.json --out exports
    """
    from unmix.chain import Chain

    wanted = checked(wanted or [formats.ALL])
    steps = Chain.from_file(chain)
    for path in formats.write(steps, chain.stem.removesuffix(".chain"), out, wanted):
        say(f"wrote {path}")


@app.command()
def schema(
    document: Annotated[str, typer.Argument(help="chain or result.", metavar="DOCUMENT")],
) -> None:
    """Print the JSON Schema of chain files, or of results.

    \b
    Examples:
      unmix schema chain > chain.schema.json
      unmix schema result
    """
    import json

    from unmix.export import schema as schemas

    if document not in schemas.DOCUMENTS:
        raise typer.BadParameter(f"no document {document!r}; there are chain and result")
    text = json.dumps(schemas.DOCUMENTS[document](), indent=2, ensure_ascii=False)
    typer.echo(text)
