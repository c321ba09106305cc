"""A translator of the EEL2 that the exported devices use, so that their very text can be run.

JSFX are written in EEL2, an expression language with 64-bit numbers only. No interpreter of it is
at hand for tests; this one covers the subset that the devices use (assignments, arithmetic,
comparisons, ``?:``, ``loop``, functions with locals, memory by ``[]``) and refuses everything else.
It follows the published JSFX reference: comparisons with a tolerance of 0.00001, truth by size,
memory cells by truncation after adding 0.00001. Each section becomes a Python function of two
arrays: G, the variables, and M, the memory. One limit: within a statement, calls of own functions
come first and variables are read after them.
"""

from __future__ import annotations

import math
import re

TOKEN = re.compile(
    r"\s+|//[^\n]*|(?P<number>\d+\.?\d*|\.\d+)|(?P<name>\$?[A-Za-z_]\w*)"
    r"|(?P<op>[=!<>]=|[-+*/]=|&&|\|\||[-+*/^!<>=?:;,()\[\]])"
)
BUILT_IN = {
    "abs": "abs", "cos": "math.cos", "exp": "math.exp", "floor": "math.floor", "log": "math.log",
    "log10": "math.log10", "max": "max", "min": "min", "sin": "math.sin", "sqrt": "math.sqrt",
    "tan": "math.tan",
}  # fmt: skip
EQUAL = "abs({} - {}) < 1e-5"


def tokens(text: str) -> list[str]:
    found, place = [], 0
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise SyntaxError(f"not in this subset of EEL2: {text[place : place + 30]!r}")
        place = match.end()
        if match.lastgroup:
            found.append(match.group().lower())
    return [*found, "end"]


class Translator:
    """Recursive descent: each method takes one rule of the grammar, writes the statements that it
    needs and returns a Python expression for the value."""

    def __init__(self):
        self.variables: dict[str, int] = {}
        self.functions: dict[str, int] = {}  # name -> number of parameters
        self.lines: list[str] = []  # finished Python
        self.locals: set[str] = set()
        self.indent, self.names = 1, 0

    # --- output ---
    def emit(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    def temporary(self, value: str) -> str:
        self.names += 1
        self.emit(f"t{self.names} = {value}")
        return f"t{self.names}"

    def variable(self, name: str) -> str:
        if name in self.locals:
            return f"v_{name}"
        return f"G[{self.variables.setdefault(name, len(self.variables))}]"

    # --- input ---
    @property
    def next(self) -> str:
        return self.tokens[self.place]

    def take(self, *wanted: str) -> str:
        token = self.next
        if wanted and token not in wanted:
            raise SyntaxError(f"expected {wanted}, got {self.tokens[self.place : self.place + 8]}")
        self.place += 1
        return token

    def section(self, name: str, text: str) -> None:
        """Translate the code of one @section into ``def section_name(G, M)``."""
        self.tokens, self.place = tokens(text), 0
        body: list[str] = []
        while self.next != "end":
            self.lines, finished = [], self.lines
            if self.next == "function":
                self.function()
                self.lines = finished + self.lines
            else:
                self.expression()
                body, self.lines = body + self.lines, finished
            if self.next == ";":
                self.take()
        self.head(f"section_{name}", [])
        self.lines += [*body, "    return 0.0"]

    def head(self, name: str, parameters: list[str]) -> None:
        self.lines.append("@njit(error_model='numpy')")
        self.lines.append(f"def {name}({', '.join(['G', 'M', *(f'v_{p}' for p in parameters)])}):")

    def function(self) -> None:
        self.take("function")
        name = self.take()
        parameters = self.name_list()
        local = []
        if self.next == "local":
            self.take()
            local = self.name_list()
        self.locals = {*parameters, *local}
        self.functions[name] = len(parameters)
        self.head(f"f_{name}", parameters)
        for variable in local:
            self.emit(f"v_{variable} = 0.0")
        self.emit(f"return {self.block()}")
        self.locals = set()

    def name_list(self) -> list[str]:
        self.take("(")
        names = []
        while self.next != ")":
            names.append(self.take())
            if self.next == ",":
                self.take()
        self.take(")")
        return names

    # --- expressions ---
    def block(self) -> str:
        """( a; b; c ): the value is the last one's."""
        self.take("(")
        value = self.sequence()
        self.take(")")
        return value

    def sequence(self) -> str:
        value = "0.0"
        while self.next != ")":
            value = self.expression()
            if self.next != ")":
                self.take(";")
        return value

    def expression(self) -> str:
        start = self.place
        value = self.conditional()
        if self.next not in ("=", "+=", "-=", "*=", "/="):
            return value
        if not re.fullmatch(r"v_\w+|[GM]\[.*\]", value):
            raise SyntaxError(f"cannot assign to {self.tokens[start : self.place]}")
        operator = self.take()
        right = self.expression()
        self.emit(f"{value} {operator} {right}")
        return value

    def conditional(self) -> str:
        condition = self.either()
        if self.next != "?":
            return condition
        self.take()
        self.names += 1
        result = f"t{self.names}"
        self.emit(f"{result} = 0.0")
        self.emit(f"if {self.truth(condition)}:")
        self.branch(result)
        if self.next == ":":
            self.take()
            self.emit("else:")
            self.branch(result)
        return result

    def branch(self, result: str) -> None:
        self.indent += 1
        self.emit(f"{result} = {self.conditional()}")
        self.indent -= 1

    @staticmethod
    def truth(value: str) -> str:
        return f"abs({value}) >= 1e-5"

    def either(self) -> str:
        value = self.comparison()
        while self.next in ("||", "&&"):
            word = {"||": "or", "&&": "and"}[self.take()]
            before = len(self.lines)
            right = self.comparison()
            if len(self.lines) > before:
                raise SyntaxError("a side effect behind && or || is not translated")
            value = f"(1.0 if {self.truth(value)} {word} {self.truth(right)} else 0.0)"
        return value

    def comparison(self) -> str:
        value = self.sum()
        while self.next in ("==", "!=", "<", ">", "<=", ">="):
            operator, right = self.take(), None
            right = self.sum()
            test = {"==": EQUAL, "!=": f"not {EQUAL}"}.get(operator, f"{{}} {operator} {{}}")
            value = f"(1.0 if {test.format(value, right)} else 0.0)"
        return value

    def sum(self) -> str:
        value = self.product()
        while self.next in ("+", "-"):
            value = f"({value} {self.take()} {self.product()})"
        return value

    def product(self) -> str:
        value = self.power()
        while self.next in ("*", "/"):
            value = f"({value} {self.take()} {self.power()})"
        return value

    def power(self) -> str:
        value = self.unary()
        while self.next == "^":
            self.take()
            value = f"({value} ** {self.unary()})"
        return value

    def unary(self) -> str:
        if self.next == "-":
            self.take()
            return f"(-{self.unary()})"
        if self.next == "!":
            self.take()
            return f"(0.0 if {self.truth(self.unary())} else 1.0)"
        value = self.atom()
        while self.next == "[":
            self.take()
            offset = self.expression()
            self.take("]")
            value = f"M[int({value} + {offset} + 1e-5)]"
        return value

    def atom(self) -> str:
        if self.next == "(":
            return self.block()
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return repr(float(token))
        if token == "$pi":
            return repr(math.pi)
        if not re.fullmatch(r"[a-z_]\w*", token):
            raise SyntaxError(f"unexpected {token!r}")
        if self.next != "(":
            return self.variable(token)
        return self.loop() if token == "loop" else self.call(token)

    def call(self, name: str) -> str:
        arguments = self.arguments()
        if name in self.functions:
            if len(arguments) != self.functions[name]:
                raise SyntaxError(f"{name} takes {self.functions[name]}, not {len(arguments)}")
            # a call may change variables: it is done here and now
            return self.temporary(f"f_{name}({', '.join(['G', 'M', *arguments])})")
        if name not in BUILT_IN:
            raise SyntaxError(f"no function {name!r} so far")
        return f"{BUILT_IN[name]}({', '.join(arguments)})"

    def arguments(self) -> list[str]:
        self.take("(")
        values = []
        while self.next != ")":
            values.append(self.expression())
            if self.next != ")":
                self.take(",")
        self.take(")")
        return values

    def loop(self) -> str:
        self.take("(")
        count = self.expression()
        self.take(",")
        self.names += 1
        self.emit(f"for _{self.names} in range(int({count})):")
        self.indent += 1
        self.sequence()
        self.emit("pass")
        self.indent -= 1
        self.take(")")
        return "0.0"
