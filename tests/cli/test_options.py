"""Help says what can be given: options by panels, and choices that are those of the program."""

from typing import get_args

import pytest
from typer.testing import CliRunner

from unmix import export
from unmix.audio.signals import FIXED_KINDS
from unmix.cli import data, evaluate, options, training
from unmix.cli.app import app
from unmix.data.chains import SOURCE_SHARES
from unmix.data.degradation import KINDS
from unmix.networks.decoder import CORES
from unmix.networks.model import PARTS
from unmix.recording import prepare


def choices(option) -> tuple[str, ...]:
    """Of an annotated option: from its type, or from what help shows in its place."""
    kind, about = get_args(option)
    if about.metavar:
        return tuple(about.metavar.split("|"))
    of_parts = [get_args(part) for part in get_args(kind)]  # Literal[…] | None
    return next(filter(None, of_parts), get_args(kind))


@pytest.mark.parametrize(
    ("option", "known"),
    [
        (evaluate.Source, (*FIXED_KINDS, "synthetic")),
        (evaluate.Degrade, (*KINDS, "mixed")),
        (training.Geometry, CORES),
        (training.Only, PARTS),
        (data.Source, SOURCE_SHARES),
        (options.Source, (*prepare.KINDS, "FILE")),
        (options.Export, (*export.FORMATS, export.ALL)),
    ],
)
def test_choices_are_those_of_the_program(option, known):
    assert set(choices(option)) == set(known)


@pytest.mark.parametrize("command", ["analyze", "refine"])
def test_help_groups_the_options(command):
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"}).output
    titles = [line.rstrip(":") for line in shown.splitlines() if line[:1].isalpha()]
    panels = [options.SOURCE, options.SEARCH, options.OUTPUT]
    panels += [options.MANY] if command == "analyze" else []
    assert titles[1:] == ["Arguments", *panels, "Options"]
    assert shown.partition("\nOptions:\n")[2].strip().startswith("-h, --help")
    assert max(map(len, shown.splitlines())) <= 84  # an example may stand out
