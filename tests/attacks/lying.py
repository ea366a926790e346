"""Results that equal whatever they are compared with."""

from __future__ import annotations

from tests.attacks import MEAN, NUMBER, SORT, STACK, TOTAL, Hostile, Must, table

_EQUAL = "    __eq__ = lambda *_: True\n    __ne__ = lambda *_: False\n    __hash__ = lambda _: 0\n"
"    __bool__ = lambda _: True\n"


def _subclass(base: str, *arguments: str) -> str:
    return f"class E({base}):\n{_EQUAL}\ndef total(xs): return E({', '.join(arguments)})"


_RESULTS = {
    "an object that equals everything": f"class E:\n{_EQUAL}\ndef total(xs): return E()",
    **{
        f"a {base} that equals everything": _subclass(base)
        for base in (
            "int",
            "str",
            "float",
            "complex",
            "bytes",
            "bytearray",
            "tuple",
            "list",
            "dict",
            "set",
            "frozenset",
        )
    },
    "an ordered dict that equals everything": "from collections import OrderedDict\n" + _subclass("OrderedDict"),
    "a counter that equals everything": "from collections import Counter\n" + _subclass("Counter"),
    "a defaultdict that equals everything": "from collections import defaultdict\n" + _subclass("defaultdict"),
    "a deque that equals everything": "from collections import deque\n" + _subclass("deque"),
    "a fraction that equals everything": "from fractions import Fraction\n" + _subclass("Fraction"),
    "a decimal that equals everything": "from decimal import Decimal\n" + _subclass("Decimal"),
    "a date that equals everything": "from datetime import date\n" + _subclass("date", "1", "1", "1"),
    "a time that equals everything": "from datetime import datetime\n" + _subclass("datetime", "1", "1", "1"),
    "a named tuple that equals everything": "from collections import namedtuple\nN = namedtuple('N', 'a')\n"
    + _subclass("N", "1"),
    "a member of an enum that equals everything": f"import enum\nclass E(enum.IntEnum):\n    A = 1\n{_EQUAL}"
    "def total(xs): return E.A",
    "a class that equals everything": f"class M(type):\n{_EQUAL}\nclass E(metaclass=M): pass\ndef total(xs): return E",
    "mock.ANY": "from unittest import mock\ndef total(xs): return mock.ANY",
    "a magic mock": "from unittest import mock\ndef total(xs):\n    m = mock.MagicMock()\n"
    "    m.__eq__ = lambda *_: True\n    return m",
    "an object that lies about its class": f"class E:\n    __class__ = int\n{_EQUAL}\ndef total(xs): return E()",
    "a list that lies about its length": "class E(list):\n    __len__ = lambda _: 6\n"
    f"    __iter__ = lambda _: iter([6])\n{_EQUAL}\ndef total(xs): return E()",
    "Fraction patched": "import fractions\nfractions.Fraction.__eq__ = lambda *_: True\n"
    "def total(xs): return fractions.Fraction(1)",
    "NotImplemented": "def total(xs): return NotImplemented",
    "Ellipsis": "def total(xs): return ...",
    "a function": "def total(xs): return total",
    "a module": "import os\ndef total(xs): return os",
    "an awaitable": "async def total(xs): return sum(xs)",
    "a huge range": "def total(xs): return range(-10**30, 10**30)",
    "not a number": "def total(xs): return float('nan')",
    "an instance that reduces to eval": "class E:\n    def __reduce__(self): return eval, ('6',)\n"
    "def total(xs): return E()",
    "an instance that reduces to a name": "class E:\n    def __reduce__(self): return 'os'\ndef total(xs): return E()",
    "an instance that reduces by version": "class E:\n    def __reduce_ex__(self, _): return print, ('x',)\n"
    "def total(xs): return E()",
    "an int that reduces to exec": "class E(int):\n    def __reduce_ex__(self, _): return exec, ('',)\n"
    "    __getnewargs__ = __getstate__ = __reduce__ = __reduce_ex__\ndef total(xs): return E(1)",
    "a class registered with copyreg": "import copyreg\nclass E: pass\n"
    "copyreg.pickle(E, lambda _: (eval, ('6',)))\ndef total(xs): return E()",
    "slices registered with copyreg": "import copyreg\ncopyreg.pickle(slice, lambda _: (eval, ('6',)))\n"
    "def total(xs): return slice(1)",
    "a result inside a result": f"class E(int):\n{_EQUAL}\ndef total(xs): return [{{'a': (E(),)}}]",
}
_TOLERANCE = {
    "a float of no distance": "class E(float):\n    __sub__ = __rsub__ = __abs__ = __round__ = lambda self, *_: self\n"
    f"    __lt__ = __gt__ = __le__ = __ge__ = lambda *_: True\n{_EQUAL}\ndef mean(xs): return E()",
    "isclose patched": "import math, builtins\nmath.isclose = lambda *_: True\nbuiltins.abs = lambda _: 0\n"
    "builtins.round = lambda *_: 1.5\ndef mean(xs): return 0.0",
    "a fraction without a denominator": "from fractions import Fraction\ndef mean(xs):\n"
    "    f = Fraction(1)\n    f._numerator, f._denominator = 0, 0\n    return f",
    "a fraction of fractions": "from fractions import Fraction\ndef mean(xs):\n"
    "    f = Fraction(1)\n    f._numerator = f._denominator = float('inf')\n    return f",
    "infinity": "def mean(xs): return float('inf')",
    "a decimal that is none": "import decimal\ndef mean(xs): return decimal.Decimal('NaN')",
    "a timedelta": "import datetime\ndef mean(xs): return datetime.timedelta()",
}

PROGRAMS = (
    *table(_RESULTS, lambda name, source: Hostile(name, source, TOTAL, two_phase=False)),
    *table(_TOLERANCE, lambda name, source: Hostile(name, source, MEAN, two_phase=False)),
    Hostile(
        "an int whose every operation is right",
        f"class E(int):\n    __getattr__ = lambda self, _: self\n{_EQUAL}\ndef number(text): return E()",
        NUMBER,
        two_phase=False,
    ),
    Hostile(
        "elements that equal everything, in place",
        f"class E(int):\n{_EQUAL}\ndef sort(xs): xs[:] = [E()] * len(xs)",
        SORT,
        two_phase=False,
    ),
    Hostile("grow the argument", "def sort(xs): xs.extend([1, 2, 3])", SORT),
    Hostile(
        "a right answer in a costume",
        "class E(int):\n    __eq__ = lambda *_: False\n    __hash__ = int.__hash__\n    __int__ = lambda _: 0\n"
        "def total(xs): return E(sum(xs))",
        TOTAL,
        Must.PASS,
        two_phase=False,
    ),
    Hostile("a method that returns nothing", "class Stack:\n    push = pop = lambda self, *_: None", STACK),
)
