"""Solutions that return what is not every day's."""

from __future__ import annotations

from tests.unusual import TWO_PHASE, Unusual, of_plain

PAIRS = "assert dict(f('abca')) == {'a': 2, 'b': 1, 'c': 1}\nassert f('abca')['a'] == 2"
PLAIN_PAIRS = "{'a': 2, 'b': 1, 'c': 1}"
SQUARES = "assert list(f(3)) == [0, 1, 4]"
RESULTS = {
    "a counter": of_plain("import collections\ndef f(s): return collections.Counter(s)", PAIRS, PLAIN_PAIRS),
    "a counter of its own": of_plain(
        "import collections\nclass C(collections.Counter): pass\ndef f(s): return C(s)", PAIRS, PLAIN_PAIRS
    ),
    "a defaultdict": of_plain(
        "from collections import defaultdict\ndef f(s):\n    d = defaultdict(int)\n    for c in s: d[c] += 1\n"
        "    return d",
        PAIRS,
        PLAIN_PAIRS,
    ),
    "what a defaultdict makes": Unusual(
        "from collections import defaultdict\ndef f(): return defaultdict(list, a=[1])",
        "d = f()\nassert d['a'] == [1]\nassert d['b'] == []\nassert d.default_factory is list",
    ),
    "a defaultdict of a lambda": of_plain(
        "from collections import defaultdict\ndef f(s):\n    d = defaultdict(lambda: 0)\n"
        "    for c in s: d[c] += 1\n    return d",
        PAIRS,
        PLAIN_PAIRS,
    ),
    "an ordered dict": Unusual(
        "from collections import OrderedDict\ndef f(): return OrderedDict(b=1, a=2)",
        "d = f()\nassert list(d) == ['b', 'a']\nd.move_to_end('b')\nassert list(d.items()) == [('a', 2), ('b', 1)]",
    ),
    "a named tuple": of_plain(
        "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\ndef f(): return Point(1, 2)",
        "x, y = f()\nassert (x, y) == f() == (1, 2)",
        "(1, 2)",
    ),
    "a named tuple that the tests look into": Unusual(
        "import typing\nclass Point(typing.NamedTuple):\n    x: int\ndef f(): return Point(1)",
        "assert f().x == 1",
        mode=TWO_PHASE,
    ),
    "a deque": Unusual(
        "from collections import deque\ndef f(): return deque([1, 2, 3], maxlen=3)",
        "d = f()\nd.append(4)\nassert list(d) == [2, 3, 4]\nassert d.maxlen == 3",
    ),
    "a decimal": Unusual(
        "from decimal import Decimal\ndef f(): return Decimal('1.10')", "assert str(f() + 1) == '2.10'"
    ),
    "a fraction": Unusual(
        "from fractions import Fraction\ndef f(): return Fraction(2, 6)",
        "assert f() == f() and f().denominator == 3 and f() + 1 == 4 * f()",
    ),
    "dates": Unusual(
        "from datetime import *\ndef f(): return [date(2024, 2, 29), datetime(2024, 1, 1, tzinfo=timezone.utc), "
        "time(1, 2), timedelta(days=1)]",
        "d, t, c, s = f()\nassert (d + s).isoformat() == '2024-03-01' and t.utcoffset().seconds == 0 and c.minute == 2",
    ),
    "a date of its own": of_plain(
        "import datetime\nclass D(datetime.date): pass\ndef f(): return D(2024, 2, 29)",
        "assert str(f()) == '2024-02-29'",
        "'2024-02-29'",
    ),
    "sets": Unusual(
        "def f(): return {1, 2}, frozenset({3}), {frozenset({4})}",
        "a, b, c = f()\nassert a == {2, 1} and isinstance(b, frozenset) and frozenset({4}) in c",
    ),
    "keys": of_plain("def f(s): return dict.fromkeys(s).keys()", "assert set(f('aba')) == {'a', 'b'}", "['a', 'b']"),
    "keys of an ordered dict": of_plain(
        "from collections import OrderedDict\ndef f(s): return OrderedDict.fromkeys(s).keys()",
        "assert list(f('aba')) == ['a', 'b']",
        "['a', 'b']",
    ),
    "values": of_plain("def f(): return {1: 2, 3: 2}.values()", "assert sorted(f()) == [2, 2]", "[2, 2]"),
    "items": of_plain("def f(): return {1: [2]}.items()", "assert list(f()) == [(1, [2])]", "[(1, [2])]"),
    "a generator": of_plain("def f(n):\n    for x in range(n): yield x * x", SQUARES, "[0, 1, 4]"),
    "a map": of_plain("def f(n): return map(lambda x: x * x, range(n))", SQUARES, "[0, 1, 4]"),
    "a zip": of_plain("def f(a, b): return zip(a, b)", "assert list(f([1], 'x')) == [(1, 'x')]", "[(1, 'x')]"),
    "a filter": of_plain("def f(xs): return filter(None, xs)", "assert list(f([0, 1])) == [1]", "[1]"),
    "reversed": of_plain("def f(xs): return reversed(xs)", "assert list(f([1, 2])) == [2, 1]", "[2, 1]"),
    "a chain": of_plain(
        "import itertools\ndef f(*xs): return itertools.chain(*xs)", "assert list(f([1], [2])) == [1, 2]", "[1, 2]"
    ),
    "an iterator of its own": of_plain(
        "class I:\n    n = 0\n    def __iter__(self): return self\n    def __next__(self):\n        self.n += 1\n"
        "        if self.n > 2: raise StopIteration\n        return self.n\ndef f(): return I()",
        "assert list(f()) == [1, 2]",
        "[1, 2]",
    ),
    "a generator that raises": of_plain(
        "def f(n):\n    if n < 0: raise ValueError('negative')\n    yield n",
        "assert list(f(1)) == [1]\ntry:\n    list(f(-1))\nexcept ValueError as error:\n"
        "    assert str(error) == 'negative'\n"
        "else:\n    assert False",
        "[_[0]] if _[0] >= 0 else int('x')".replace("int('x')", "(_ for _ in ()).throw(ValueError('negative'))"),
    ),
    "a generator without end": of_plain(
        "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
        "g = iter(f())\nassert [next(g) for _ in range(3)] == [0, 1, 2]",
        "[0, 1, 2]",
    ),
    "next of a generator": Unusual(
        "def f():\n    yield 1", "g = f()\nassert next(g) == 1\nassert next(g, 'over') == 'over'"
    ),
    "ranges": Unusual("def f(n): return range(0, n, 2)", "assert f(5) == range(0, 6, 2) and len(f(5)) == 3"),
    "bytes": Unusual("def f(): return b'\\0\\xff', bytearray(b'x')", "assert f() == (b'\\0\\xff', b'x')"),
    "nested and shared": Unusual(
        "def f():\n    row = [1]\n    return {'rows': [row, row], ('k', 1): {2: (row,)}}",
        "d = f()\nd['rows'][0].append(2)\nassert d['rows'][1] == [1, 2] == d['k', 1][2][0]",
    ),
    "a list that holds itself": Unusual(
        "def f():\n    xs = [1]\n    xs.append(xs)\n    return xs", "xs = f()\nassert xs[1] is xs and xs[0] == 1"
    ),
    "an int of its own": of_plain(
        "class Age(int):\n    def __repr__(self): return 'Age'\ndef f(): return Age(7)", "assert f() == 7", "7"
    ),
    "a str of its own": of_plain(
        "class Name(str):\n    def __str__(self): return 'wrong'\ndef f(): return Name('x')", "assert f() == 'x'", "'x'"
    ),
    "a list of its own": of_plain(
        "class L(list):\n    extra = 1\ndef f(): return L([1, L([2])])", "assert f() == [1, [2]]", "[1, [2]]"
    ),
    "a tuple of its own": of_plain(
        "class T(tuple): pass\ndef f(): return T('ab')", "assert f() == ('a', 'b')", "('a', 'b')"
    ),
    "a dict of its own": of_plain(
        "class D(dict):\n    def __missing__(self, k): return 0\ndef f(): return D(a=1)",
        "assert f() == {'a': 1}",
        "{'a': 1}",
    ),
    "a set of its own": of_plain("class S(set): pass\ndef f(): return S({1})", "assert f() == {1}", "{1}"),
    "a float of its own": of_plain(
        "class F(float):\n    def __float__(self): return 0.0\ndef f(): return F(1.5)", "assert f() == 1.5", "1.5"
    ),
    "a member of an enum of ints": of_plain(
        "import enum\nclass E(enum.IntEnum):\n    A = 3\ndef f(): return E.A", "assert f() == 3", "3"
    ),
    "a member of an enum of strings": of_plain(
        "import enum\nclass E(str, enum.Enum):\n    A = 'a'\ndef f(): return E.A", "assert f() == 'a'", "'a'"
    ),
    "a data class": Unusual(
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int\ndef f(): return P(1)",
        "assert f().x == 1",
        mode=TWO_PHASE,
    ),
    "a closure": Unusual("def f(n):\n    return lambda x: x + n", "assert f(1)(2) == 3", mode=TWO_PHASE),
    "an async function": Unusual(
        "async def f(x): return x + 1", "import asyncio\nassert asyncio.run(f(1)) == 2", mode=TWO_PHASE
    ),
    "a coroutine": Unusual(
        "import asyncio\nasync def g(x): return x + 1\ndef f(x): return g(x)",
        "import asyncio\nassert asyncio.run(f(1)) == 2",
        mode=TWO_PHASE,
    ),
    "none": Unusual("def f(): return None", "assert f() is None"),
    "booleans": Unusual("def f(): return True, False", "assert f()[0] is True and f()[1] is False"),
    "not a number and infinity": Unusual(
        "def f(): return float('nan'), float('inf'), -float('inf')",
        "import math\nn, i, m = f()\nassert math.isnan(n) and i == math.inf and m == -math.inf",
    ),
    "a negative zero": Unusual("def f(): return -0.0", "import math\nassert math.copysign(1, f()) == -1"),
    "a huge integer": Unusual(
        "def f(): return 10 ** 10_000", "assert f() == 10 ** 10_000 and f() % 7 == pow(10, 10_000, 7)"
    ),
    "a complex number": Unusual("def f(): return 1 + 2j", "assert f() == complex(1, 2)"),
    "surrogates": Unusual(r"def f(): return '\ud800x\x00é😀'", r"assert f() == '\ud800x\x00é😀'"),
    "a long text": Unusual("def f(): return 'ab' * 1_000_000", "assert len(f()) == 2_000_000 and f().endswith('ab')"),
    "a long list": Unusual("def f(n): return list(range(n))", "assert sum(f(300_000)) == 44_999_850_000"),
    "a type": Unusual("def f(x): return type(x)", "assert f(1) is int and f('') is str and f([]) is list"),
    "a type that is open": Unusual(
        "import collections\ndef f(): return collections.Counter", "assert f()('aa') == {'a': 2}"
    ),
}
