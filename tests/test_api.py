"""What ``import unmix`` offers: complete, annotated, and light until it is used."""

import doctest
import importlib
import inspect
import subprocess
import sys
from importlib.resources import files

import pytest

import unmix

# modules whose docstrings have examples; each runs as it stands
WITH_EXAMPLES = (
    "unmix.audio.signals",
    "unmix.chain",
    "unmix.effects.base",
    "unmix.effects.controls",
)


def test_dir_is_complete():
    assert set(unmix.__all__) <= set(dir(unmix))
    for name in unmix.__all__:
        assert getattr(unmix, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'flanger'"):
        _ = unmix.flanger


def test_import_alone_loads_nothing():
    program = (
        "import sys, unmix; "
        "print([m for m in sys.modules if m.startswith('unmix.') or m in ('numpy', 'torch')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_type_checkers_are_told_that_there_are_types():
    assert (files("unmix") / "py.typed").is_file()


@pytest.mark.parametrize("name", ["Chain", "analyze", "load_proxy", "probe"])
def test_what_is_public_is_annotated(name):
    thing = getattr(unmix, name)
    public = [thing] if inspect.isfunction(thing) else vars(thing).values()
    for function in filter(inspect.isfunction, public):
        if function.__name__.startswith("_"):
            continue
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, function
        for parameter in signature.parameters.values():
            if parameter.name != "self":
                assert parameter.annotation is not inspect.Parameter.empty, (function, parameter)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_in_docstrings_run(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried and not failed
