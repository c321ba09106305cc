"""JSON Schemas (draft 2020-12) of the documents that unmix writes, made from the registry.

The chain's schema and ``Chain.from_json`` accept the same files, with one allowance of the latter:
a value may overshoot the end of its range by a millionth of the range, as rounding does.
"""

from __future__ import annotations

from unmix import chain, effects
from unmix.analysis import result
from unmix.effects import Effect
from unmix.effects.controls import Knob, Switch

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def chain_schema() -> dict:
    """Of a chain file: what ``Chain.to_json`` writes and ``Chain.from_json`` reads."""
    head = {"$schema": DRAFT, "title": "unmix chain: audio effects in order, with their settings"}
    return head | _document(chain.FORMAT, chain.FORMAT_VERSION, {"chain": _steps()}) | _defs()


def result_schema() -> dict:
    """Of the results of analyze and refine: of one recording (NAME.result.json), or of all
    (``--json``), where each entry has its "file", and "error" where something failed."""
    head = {"$schema": DRAFT, "title": "unmix result: what was found in recordings"}
    name = {"type": "string", "description": "the recording"}
    fault = {"type": "string", "description": "one line: what failed"}
    failed = {"type": "object", "required": ["file", "error"]}
    found = {"type": "object", "required": ["file", *_result()], "properties": _result()}
    entry = {"properties": {"file": name, "error": fault, "made": _made()}}
    files = {"type": "array", "items": entry | {"anyOf": [found, failed]}}
    one = _document(result.FORMAT, result.FORMAT_VERSION, _result())
    one["properties"] |= {"file": name, "made": _made(), "files": _hashes()}
    documents = [one, _document(result.FORMAT, result.FORMAT_VERSION, {"files": files})]
    return head | {"oneOf": documents} | _defs()


DOCUMENTS = {"chain": chain_schema, "result": result_schema}


def _document(name: str, version: int, properties: dict) -> dict:
    properties = {"format": {"const": name}, "version": {"const": version}} | properties
    return {"type": "object", "required": list(properties), "properties": properties}


def _defs() -> dict:
    return {"$defs": {name: _step(effects.get(name)) for name in effects.names()}}


def _steps() -> dict:
    """A list of steps, in which no effect comes twice."""
    steps = [{"$ref": f"#/$defs/{name}"} for name in effects.names()]
    once = [
        {
            "contains": {"properties": {"effect": {"const": name}}},
            "minContains": 0,
            "maxContains": 1,
        }
        for name in effects.names()
    ]
    return {"type": "array", "items": {"oneOf": steps}, "allOf": once}


def _step(effect: Effect) -> dict:
    controls = {c.name: _control(c) for c in effect.knobs + effect.switches}
    settings = {"type": "object", "properties": controls, "additionalProperties": False}
    return {
        "type": "object",
        "description": effect.description,
        "required": ["effect"],
        "properties": {"effect": {"const": effect.name}, "settings": settings},
        "additionalProperties": False,
    }


def _control(control: Knob | Switch) -> dict:
    """Its range or options; a circular knob takes any number of turns."""
    told = {"description": control.description, "default": control.default}
    if isinstance(control, Switch):
        return {"enum": list(control.options)} | told
    unit = f" in {control.unit}" if control.unit else ""
    told["description"] = f"{control.description}{unit}"
    ends = {} if control.circular else {"minimum": control.low, "maximum": control.high}
    return {"type": "number"} | ends | told


def _result() -> dict:
    """The fields of ``Result.to_dict``."""
    number, text = {"type": "number"}, {"type": "string"}
    maybe = {"type": ["number", "null"]}
    pair = {"type": "array", "prefixItems": [number, number], "minItems": 2, "maxItems": 2}
    candidate = {
        "chain": _steps(),
        "probability": maybe
        | {"description": "before any search; null if the network was not asked"},
        "distance": maybe | {"description": "of the real render, MSS; null if not rendered"},
    }
    distance = {"mss": number, "esr_db": number}
    sides = {side: _object(distance) for side in ("before", "after")}
    return {
        "chain": _steps() | {"description": "the answer"},
        "candidates": {"type": "array", "items": _object(candidate), "description": "best first"},
        "distance": _object(sides)
        | {
            "type": ["object", "null"],
            "description": "between the recording and the real render of the prediction (before) "
            "and of the answer (after); null if the source is not known",
        },
        "intervals": _mapping(_mapping(pair))
        | {
            "description": "by effect and knob, in units: 90 % interval, of the posterior or, "
            "after a search, from the curvature of the distance; on a circular knob the first may "
            "exceed the second"
        },
        "undetermined": _mapping({"type": "array", "items": text})
        | {"description": "by effect: knobs that hardly change the render"},
        "source": text | {"description": "the kind that was used: probe, …, file or none"},
        "latency_s": number | {"description": "taken out of the recording"},
        "gain_db": maybe | {"description": "taken out of the recording; null if unknown"},
        "notes": {"type": "array", "items": text},
        "history": {"type": "array", "items": pair, "description": "step, real distance"},
        "checks": {
            "type": "array",
            "items": _object({"start_s": number, "mss": number, "esr_db": number}),
            "description": "of the answer on parts of a long recording that were not searched",
        },
    }


def _made() -> dict:
    """How a result was made: the fields of ``cli.provenance`` and the run's own."""
    text = {"type": "string"}
    fields = {
        "sha256": {"type": ["string", "null"], "description": "of the recording"},
        "options": {"type": "object", "description": "of the analysis"},
        "unmix": text | {"description": "version of the program"},
        "probe": text | {"description": "version of the probe"},
        "code": text | {"description": "digest of the program's sources"},
        "weights": text | {"description": "digest of the bundled weights"},
        "name": text | {"description": "of the results"},
        "seconds": {"type": "number"},
        "stopped_early": {"type": "boolean", "description": "by Ctrl+C"},
    }
    return _object(fields) | {"description": "how the result was made"}


def _hashes() -> dict:
    return _mapping({"type": "string"}) | {
        "description": "SHA-256 of the files that were written with the result, by name"
    }


def _object(properties: dict) -> dict:
    return {"type": "object", "required": list(properties), "properties": properties}


def _mapping(values: dict) -> dict:
    return {"type": "object", "additionalProperties": values}
