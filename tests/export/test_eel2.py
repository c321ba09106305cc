"""The translator itself, on code whose result is known by hand from the JSFX reference."""

import numpy as np
import pytest
from eel2 import Translator
from jsfx import Device

HEAD = "desc:test\nslider1:amount=3<0,10,1>amount\n"


def run(code: str, functions: str = "") -> float:
    """spl0 after one sample of @sample code."""
    text = f"{HEAD}\n@init\n{functions}\n@slider\nset = amount;\n@sample\n{code}\n"
    return Device(text, compiled=False).render(np.array([[2.0], [5.0]]), 44_100, {})[0, 0]


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("spl0 = 1 + 2 * 3 ^ 2 / 6 - 1;", 3),
        ("spl0 = 2 - 3 - 4;", -5),
        ("spl0 = -2 ^ 2;", 4),  # a sign binds tighter than a power
        ("spl0 = 1 == 1.000001;", 1),  # equal within 0.00001
        ("spl0 = !0.000001;", 1),  # and that small is false
        ("spl0 = set > 2 && spl1 != 5 ? 7 : spl1 == 5 ? 8 : 9;", 8),
        ("spl0 = 1; 0 ? (spl0 = 4);", 1),
        ("n = 0; loop(5, n += 1; spl0 += n); ", 17),
        ("m = 10; m[2] = 6; spl0 = 12[0] + 10[1.999999];", 12),
        ("spl0 = (1; 2; 3);", 3),
        ("SPL0 = max(min(spl0, 1), -1) * $pi; // case does not matter", np.pi),
    ],
)
def test_values(code, value):
    assert run(code) == pytest.approx(value, abs=1e-12)


def test_functions_have_their_own_parameters_and_locals():
    functions = "x = 5; function f(a b) local(x) ( x = a * 10; a = 0; x + b );"
    assert run("a = 7; spl0 = f(a, 1) + x + a;", functions) == 71 + 5 + 7


@pytest.mark.parametrize("code", ["spl0 = rand(2);", "spl0 = 5 % 2;", "f(1 = 2;", "1 = 2;", "(1"])
def test_what_it_does_not_know_is_refused(code):
    with pytest.raises(SyntaxError):
        Translator().section("sample", code)
