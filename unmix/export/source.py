"""The DSP of effects as stand-alone Python source, taken from the effects' own files.

Nothing is kept twice: the classes of the effects are cut down to what ``run`` reaches, and followed
by name to whatever else that uses (functions and constants of the same module and of other modules
of unmix). The text is what unmix itself runs.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterable, Iterator
from functools import cache

from unmix.effects import Effect
from unmix.errors import UnmixError

ENTRY = "run"
# a package that only makes decorated functions faster: without it the decorators do nothing
OPTIONAL = "numba"
WITHOUT_IT = """try:
    {statement}
except ImportError:  # slower, with the same result

    def {name}(*functions, **_):
        return functions[0] if functions else lambda function: function"""


class Source:
    """Collects definitions, each behind what it needs.

    Args:
        effects: whose DSP it is to be.
        reserved: names that the text around the definitions has.

    Attributes:
        imports: import statements of the standard library and of other packages.
        optional: the same, with a way to do without.
        definitions: source text of constants, functions and classes, in an order that runs.

    Raises:
        UnmixError: a name would mean two things, or a function imports unmix by itself.
    """

    def __init__(self, effects: Iterable[Effect], reserved: Iterable[str] = ()):
        self.imports: set[str] = set()
        self.optional: set[str] = set()
        self.definitions: list[str] = []
        # name -> the module whose definition it is
        self._from: dict[str, str] = dict.fromkeys(reserved, "the script")
        classes = [type(effect) for effect in effects]
        self._members = set().union(*map(_reached, classes))
        for cls in classes:
            self._add(cls.__module__, cls.__name__)

    def text(self) -> str:
        """The definitions, with two empty lines around what is longer than a line."""
        text, before = "", "\n"
        for piece in self.definitions:
            text += f"{piece}\n" if "\n" not in before + piece else f"\n\n{piece}\n"
            before = piece
        return text

    def _add(self, module: str, name: str) -> None:
        """Take over what a name means in a module, and before it whatever it needs."""
        statement = _statements(module).get(name)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._add_import(statement, name)
        elif statement is not None:  # None: a local or built-in name
            owner = self._from.get(name)
            if owner not in (None, module):
                raise UnmixError(f"{name} means another thing in {owner} than in {module}")
            if owner is None:
                self._from[name] = module
                self._define(module, statement)

    def _add_import(self, statement: ast.Import | ast.ImportFrom, name: str) -> None:
        alias = next(a for a in statement.names if name in (a.asname, a.name))
        origin = getattr(statement, "module", None) or alias.name
        if origin.partition(".")[0] == "unmix":
            self._add(origin, alias.name)
            return
        node = type(statement)(**vars(statement) | {"names": [alias]})
        if origin.partition(".")[0] == OPTIONAL:
            self.optional.add(WITHOUT_IT.format(statement=ast.unparse(node), name=name))
        else:
            self.imports.add(ast.unparse(node))

    def _define(self, module: str, statement: ast.stmt) -> None:
        parts = [statement]
        if isinstance(statement, ast.ClassDef):
            kept = [s for s in statement.body if _is_docstring(s) or _defines(s) & self._members]
            parts = [*statement.bases, *kept]
        if any(_imports_unmix(part) for part in parts):
            raise UnmixError(f"{module} imports unmix inside a function")
        for name in sorted({name for part in parts for name in _names(part)}):
            self._add(module, name)
        if isinstance(statement, ast.ClassDef):
            bases = ", ".join(map(ast.unparse, statement.bases))
            head = f"class {statement.name}({bases}):" if bases else f"class {statement.name}:"
            body = [_lines(module, part) for part in kept] or ["    pass"]
            self.definitions.append("\n\n".join([f"{head}\n{body[0]}", *body[1:]]))
        else:
            self.definitions.append(_lines(module, statement))


@cache
def _module(name: str) -> tuple[list[str], ast.Module]:
    text = inspect.getsource(importlib.import_module(name))
    return text.splitlines(), ast.parse(text)


@cache
def _statements(module: str) -> dict[str, ast.stmt]:
    """What each name at the top of a module comes from."""
    _, tree = _module(module)
    return {name: statement for statement in tree.body for name in _defines(statement)}


def _defines(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.Import() | ast.ImportFrom():
            return {alias.asname or alias.name for alias in statement.names}
        case ast.FunctionDef() | ast.ClassDef():
            return {statement.name}
        case ast.Assign():
            return {node.id for target in statement.targets for node in _of(target, ast.Name)}
        case ast.AnnAssign():
            return {statement.target.id} if statement.value else set()
    return set()


def _of(tree: ast.AST, kind: type) -> Iterator[ast.AST]:
    """The nodes of one kind in a tree; annotations are left out, as no program runs them."""
    if isinstance(tree, kind):
        yield tree
    for field, value in ast.iter_fields(tree):
        if field not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _of(child, kind)


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in _of(tree, ast.Name) if isinstance(node.ctx, ast.Load)}


def _imports_unmix(tree: ast.AST) -> bool:
    modules = [node.module or "" for node in _of(tree, ast.ImportFrom)]
    modules += [alias.name for node in _of(tree, ast.Import) for alias in node.names]
    return any(module.partition(".")[0] == "unmix" for module in modules)


def _reached(cls: type) -> set[str]:
    """The members of a class and of its bases that ENTRY needs, by ``self.NAME``."""
    bodies = [_statements(c.__module__)[c.__name__].body for c in cls.__mro__[:-1]]
    reached, new = set(), {ENTRY}
    while new:
        reached |= new
        used = {
            node.attr
            for body in bodies
            for statement in body
            if _defines(statement) & reached
            for node in _of(statement, ast.Attribute)
            if isinstance(node.value, ast.Name) and node.value.id == "self"
        }
        new = used - reached
    return reached


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _lines(module: str, statement: ast.stmt) -> str:
    """A statement's source, with its decorators and the remarks right above it."""
    lines, _ = _module(module)
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(d.lineno for d in decorators)]) - 1
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return "\n".join(lines[first : statement.end_lineno])
