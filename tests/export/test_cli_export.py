"""``unmix export``, ``unmix schema``, and ``--export`` of an analysis."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unmix import effects, export
from unmix.analysis.result import Result
from unmix.chain import Chain
from unmix.cli import batch
from unmix.cli.app import app
from unmix.cli.inputs import Recording
from unmix.errors import UnmixError
from unmix.export import schema

NAME = effects.names()[0]


@pytest.fixture
def unmix_here():
    """Run a command in this process, where everything is imported already."""
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def chain_file(tmp_path):
    path = tmp_path / "guess.chain.json"
    path.write_text(
        json.dumps({"format": "unmix-chain", "version": 1, "chain": [{"effect": NAME}]})
    )
    return path


def test_export_writes_all_formats_if_none_is_named(unmix_cli, chain_file, tmp_path):
    result = unmix_cli("export", chain_file, "--out", tmp_path / "out")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    files = [p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert {str(f) for f in files} == {
        "guess.chain.json",
        "guess.chain.py",
        "guess.RfxChain",
        "guess.knobs.txt",
        str(Path("unmix", f"{NAME}.jsfx")),
        str(Path("unmix", "INSTALL.txt")),
    }
    assert result.stderr.count("wrote ") == len(files)
    again = Chain.from_file(tmp_path / "out" / "guess.chain.json")
    assert again.steps == Chain([(NAME, {})]).steps


def test_export_into_the_current_folder(unmix_here, chain_file, monkeypatch):
    (chain_file.parent / "here").mkdir()
    monkeypatch.chdir(chain_file.parent / "here")
    result = unmix_here("export", chain_file, "--format", "text", "--format", "script")
    assert result.exit_code == 0, result.stderr
    assert sorted(p.name for p in Path().iterdir()) == ["guess.chain.py", "guess.knobs.txt"]


def test_wrong_usage(unmix_here, chain_file, tmp_path):
    result = unmix_here("export", chain_file, "--format", "vst")
    assert result.exit_code == 2 and "json, script, reaper, text" in result.stderr
    result = unmix_here("analyze", "take.wav", "--export", "text")
    assert result.exit_code == 2 and "--export needs --out" in result.stderr
    result = unmix_here("analyze", "take.wav", "--out", tmp_path, "--export", "vst")
    assert result.exit_code == 2 and "no export format 'vst'" in result.stderr
    result = unmix_here("schema", "chains")
    assert result.exit_code == 2 and "chain and result" in result.stderr


def test_a_bad_chain_file_is_one_line(unmix_here, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    result = unmix_here("export", tmp_path / "bad.json", "--out", tmp_path)
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert "bad.json: not JSON" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["bad.json"]


@pytest.mark.parametrize("document", schema.DOCUMENTS)
def test_schema_is_printed(unmix_here, document):
    result = unmix_here("schema", document)
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == schema.DOCUMENTS[document]()


def test_formats_are_expanded_in_one_order():
    assert export.expand(["text", "json", "text"]) == ("json", "text")
    assert export.expand(["text", "all"]) == export.FORMATS
    assert export.expand([]) == ()


def work(file, progress, stop):
    chain = Chain([(NAME, {})])
    return Result(chain, [(chain, 1.0, None)], None, {}, "none")


def run(folder, formats):
    """An analysis whose answer is exported, as the command does it."""
    (folder / "take.wav").write_bytes(b"sound")

    def extra(result, name):
        return export.write(result.chain, name, folder, formats, result)

    take = Recording(folder / "take.wav", "take")
    return batch.run([take], work, {}, folder, extras=[extra])[0]


def test_an_analysis_exports_its_answer(tmp_path, capsys):
    entries = run(tmp_path, ["script", "text"])
    assert "error" not in entries[0]
    assert {"take.chain.py", "take.knobs.txt"} <= {p.name for p in tmp_path.iterdir()}
    assert "take.knobs.txt" in capsys.readouterr().err


def test_an_export_that_fails_leaves_the_answer(tmp_path, monkeypatch):
    def fail(*_):
        raise UnmixError("no such thing")

    monkeypatch.setitem(export.EXPORTERS, "text", export.Exporter("fails", fail))
    entries = run(tmp_path, ["text"])
    assert "text: no such thing" in entries[0]["error"] and "chain" in entries[0]
    assert (tmp_path / "take.chain.json").exists()
