"""The floors of the package: imports run one way, and modules and functions stay small.

``FLOORS`` is the tree of docs/architecture.md from the bottom up. A module may import what stands
on lower floors and what is in its own package; names on one floor do not know each other. Imports
inside functions count as well.
"""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "unmix"
FLOORS = (
    ("errors", "nn"),
    ("runtime",),
    ("audio",),
    ("dsp",),
    ("features", "effects"),
    ("chain",),
    ("recording",),
    ("networks", "data"),
    ("inference",),
    ("search",),
    ("weights",),
    ("analysis", "training"),
    ("evaluation", "export", "report"),
    ("cli",),
    ("__init__", "__main__"),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
MAX_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 300, 60, 7
# name: reason
LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
# beside commands: the parameters of one are its options
_COMPILED = "compiled by numba, which takes arrays one by one, and no dataclass"
WIDE_SIGNATURES: dict[str, str] = {
    "unmix.analysis.analyze.analyze": "the public contract: keywords of a call by hand",
    "unmix.analysis.analyze.refine_chain": "as analyze",
    "unmix.effects.ott.device._follow": _COMPILED,
    "unmix.effects.ott.lanes.split": _COMPILED,
}

FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def room(module: str) -> str:
    """The name below ``unmix`` that a module belongs to."""
    return [*module.split("."), "__init__"][1]


def imported(module: str) -> set[str]:
    """Modules of the package that a module imports, anywhere in it but for typing alone."""
    tree, found = ast.parse(FILES[module].read_text(encoding="utf-8")), set()
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in FILES}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found |= {inner if inner in FILES else node.module} & FILES.keys()
    return found - {module}


GRAPH = {module: imported(module) for module in FILES}


def test_every_room_stands_on_a_floor():
    assert {room(module) for module in FILES} == set(FLOOR)
    assert len(FLOOR) <= 26


def test_imports_run_downwards():
    upwards = {
        f"{module} -> {other}"
        for module, others in GRAPH.items()
        for other in others
        if room(other) != room(module) and FLOOR[room(other)] >= FLOOR[room(module)]
    }
    assert upwards == set()


def test_no_module_imports_itself_through_others():
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in GRAPH[module]:
                visit(other, (*path, module))
            done.add(module)

    for module in GRAPH:
        visit(module, ())


def functions():
    for module, path in FILES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{module}.{node.name}", node


def is_command(node) -> bool:
    """Whether a typer application calls it, with the options of a command line."""
    calls = [d.func for d in node.decorator_list if isinstance(d, ast.Call)]
    return any(isinstance(call, ast.Attribute) and call.attr == "command" for call in calls)


@pytest.mark.parametrize("kind", ["lines of a module", "lines of a function", "parameters"])
def test_nothing_grows_too_large(kind):
    found = defaultdict(int)
    if kind == "lines of a module":
        limit, excused = MAX_LINES, LONG_MODULES
        found |= {m: path.read_text(encoding="utf-8").count("\n") for m, path in FILES.items()}
    elif kind == "lines of a function":
        limit, excused = MAX_FUNCTION_LINES, LONG_FUNCTIONS
        for name, node in functions():
            found[name] = max(found[name], node.end_lineno - node.lineno + 1)
    else:
        limit, excused = MAX_PARAMETERS, WIDE_SIGNATURES
        for name, node in functions():
            if is_command(node):
                continue
            a = node.args
            count = len([p for p in a.posonlyargs + a.args + a.kwonlyargs])
            own = (a.posonlyargs + a.args)[:1]
            count -= bool(own and own[0].arg in ("self", "cls"))
            found[name] = max(found[name], count)
    large = {name: size for name, size in found.items() if size > limit}
    assert {n: s for n, s in large.items() if n not in excused} == {}
    assert set(excused) <= set(large), "an exception that is not needed any more"
