"""Solutions that are called, change their arguments, or raise in ways that are not every day's."""

from __future__ import annotations

from tests.unusual import TWO_PHASE, Unusual, of_plain

CALLS = {
    "keywords": Unusual(
        "def f(a, *, b=2, **c): return a, b, c",
        "assert f(1) == (1, 2, {})\nassert f(a=1, b=3, d=4) == (1, 3, {'d': 4})",
    ),
    "defaults that change": Unusual(
        "def f(x, seen=[]):\n    seen.append(x)\n    return seen", "assert f(1) == [1]\nassert f(2) == [1, 2]"
    ),
    "state between calls": Unusual(
        "n = 0\ndef f():\n    global n\n    n += 1\n    return n", "assert [f(), f(), f()] == [1, 2, 3]"
    ),
    "functions that call one another": Unusual(
        "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)\ndef f(n): return even(n)",
        "assert f(100) and not f(101)\nassert odd(3) and even(4)",
    ),
    "a cache": Unusual(
        "import functools\n@functools.lru_cache(maxsize=None)\ndef f(n): return n if n < 2 else f(n - 1) + f(n - 2)",
        "assert f(90) == 2880067194370816120",
    ),
    "a cache that is looked into": Unusual(
        "import functools\n@functools.cache\ndef f(n): return n",
        "f(1)\nf(1)\nassert f.cache_info().hits == 1",
        mode=TWO_PHASE,
    ),
    "an object that is called": of_plain(
        "class F:\n    def __call__(self, x): return x + 1\nf = F()", "assert f(1) == 2", "2"
    ),
    "a lambda": of_plain("f = lambda x: x + 1", "assert f(1) == 2", "2"),
    "a partial": of_plain("import functools\nf = functools.partial(pow, 2)", "assert f(3) == 8", "8"),
    "recursion": Unusual(
        "def f(n): return 0 if n == 0 else 1 + f(n - 1)", "assert f(900) == 900\nassert f(960) == 960"
    ),
    "a result as an argument": Unusual(
        "def f(x=None):\n    return [1, (2, {3})] if x is None else x[1][1] == {3}", "assert f(f())"
    ),
    "an iterator as an argument": Unusual(
        "def f(xs): return sum(xs)", "assert f(iter([1, 2])) == 3 == f(x for x in (1, 2))"
    ),
    "a function as an argument": Unusual(
        "def f(g, x): return g(x)", "assert f(lambda x: x + 1, 1) == 2", mode=TWO_PHASE
    ),
    "an object of the tests as an argument": Unusual(
        "def f(node): return node.value",
        "class Node:\n    def __init__(self, value): self.value = value\nassert f(Node(3)) == 3",
        mode=TWO_PHASE,
    ),
    "printing": Unusual("def f(x):\n    print('x is', x)\n    return x", "assert f(1) == 1"),
    "printing that is looked at": Unusual(
        "def f(): print('hello')",
        "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as out: f()\n"
        "assert out.getvalue() == 'hello\\n'",
        mode=TWO_PHASE,
    ),
    "threads": Unusual(
        "import threading\ndef f(xs):\n    out = []\n"
        "    ts = [threading.Thread(target=out.append, args=(x,)) for x in xs]\n"
        "    [t.start() for t in ts]\n    [t.join() for t in ts]\n    return sorted(out)",
        "assert f([3, 1, 2]) == [1, 2, 3]",
    ),
    "another process": Unusual(
        "import subprocess, sys\ndef f(): return subprocess.run([sys.executable, '-c', 'print(6 * 7)'], "
        "capture_output=True, text=True).stdout",
        "assert f() == '42\\n'",
    ),
    "a pool of processes": Unusual(
        "import multiprocessing\ndef double(x): return 2 * x\n"
        "def f(xs):\n    with multiprocessing.get_context('fork').Pool(2) as pool: return pool.map(double, xs)",
        "assert f([1, 2]) == [2, 4]",
    ),
    "a file": Unusual(
        "import tempfile\ndef f(s):\n    with tempfile.TemporaryFile('w+') as t:\n        t.write(s)\n"
        "        t.seek(0)\n"
        "        return t.read()",
        "assert f('text') == 'text'",
    ),
    "a broken pipe": Unusual(
        "import os\ndef f():\n    r, w = os.pipe()\n    os.close(r)\n    try: os.write(w, b'x')\n"
        "    except BrokenPipeError: return 'broken'",
        "assert f() == 'broken'",
    ),
}
IN_PLACE = {
    "a list": Unusual("def f(xs): xs.sort()", "xs = [2, 1]\nf(xs)\nassert xs == [1, 2]"),
    "a dictionary": Unusual("def f(d): d['b'] = d.pop('a')", "d = {'a': 1}\nf(d)\nassert d == {'b': 1}"),
    "a set": Unusual("def f(s): s.discard(1)", "s = {1, 2}\nf(s)\nassert s == {2}"),
    "a deque": Unusual(
        "def f(d): d.rotate(1)",
        "import collections\nd = collections.deque([1, 2, 3])\nf(d)\nassert list(d) == [3, 1, 2]",
    ),
    "a bytearray": Unusual("def f(b): b[0] = 0", "b = bytearray(b'ab')\nf(b)\nassert b == b'\\0b'"),
    "a slice": Unusual("def f(xs): xs[1:3] = [9] * 4", "xs = [0, 1, 2, 3]\nf(xs)\nassert xs == [0, 9, 9, 9, 9, 3]"),
    "lists in a list": Unusual(
        "def f(grid):\n    for row in grid: row.reverse()\n    grid.reverse()",
        "g = [[1, 2], [3, 4]]\nf(g)\nassert g == [[4, 3], [2, 1]]",
    ),
    "a list in a tuple": Unusual(
        "def f(pair): pair[0].append(1)", "pair = ([],)\nf(pair)\nassert pair == ([1],)", mode=TWO_PHASE
    ),
    "a row that the tests hold": Unusual(
        "def f(grid): grid[0].append(2)", "row = [1]\nf([row])\nassert row == [1, 2]", mode=TWO_PHASE
    ),
    "by keyword": Unusual("def f(*, xs): xs.clear()", "xs = [1]\nf(xs=xs)\nassert xs == []"),
    "before it raises": Unusual(
        "def f(xs):\n    xs.pop()\n    raise IndexError",
        "xs = [1, 2]\ntry: f(xs)\nexcept IndexError: pass\nassert xs == [1]",
    ),
    "only in type": Unusual(
        "def f(xs): xs[:] = map(float, xs)", "xs = [1, 2]\nf(xs)\nassert all(type(x) is float for x in xs)"
    ),
    "with what cannot cross": of_plain(
        "class Node:\n    def __init__(self, x): self.x = x\ndef f(xs):\n    xs[:] = map(Node, xs)\n"
        "    return sum(n.x for n in xs)",
        "assert f([1, 2]) == 3",
        "3",
    ),
    "and returns it": Unusual("def f(xs):\n    xs.append(1)\n    return xs", "xs = []\nassert f(xs) == [1] == xs"),
    "and returns the same": Unusual("def f(xs): return xs", "xs = []\nassert f(xs) is xs", mode=TWO_PHASE),
    "nothing that equals": Unusual(
        "def f(xs): return [x for x in xs]", "n = float('nan')\nxs = [n]\nf(xs)\nassert len(xs) == 1"
    ),
}
CAUGHT = "try:\n    f(-1)\nexcept ValueError as error:\n    {}\nelse:\n    assert False, 'nothing was raised'"
PLAIN_ERROR = "def f(x): raise ValueError('bad -1')"
RAISED = {
    "a built-in one": Unusual(
        PLAIN_ERROR, CAUGHT.format("assert error.args == ('bad -1',) and type(error) is ValueError")
    ),
    "one of its own": Unusual(
        "class Bad(ValueError): pass\ndef f(x): raise Bad('bad -1')",
        CAUGHT.format("assert str(error) == 'bad -1'"),
        PLAIN_ERROR,
    ),
    "one with a text of its own": Unusual(
        "class Bad(ValueError):\n    def __init__(self, x): self.x = x\n    def __str__(self): return f'bad {self.x}'\n"
        "def f(x): raise Bad(x)",
        CAUGHT.format("assert str(error) == 'bad -1'"),
        PLAIN_ERROR,
    ),
    "the name of its own": Unusual(
        "class Bad(ValueError): pass\ndef f(x): raise Bad", CAUGHT.format("assert type(error).__name__ == 'Bad'")
    ),
    "one of two kinds": Unusual(
        "class Bad(ValueError, KeyError): pass\ndef f(x): raise Bad('x')",
        CAUGHT.format("assert isinstance(error, KeyError)"),
    ),
    "one with arguments that cannot cross": Unusual(
        "class Bad(ValueError): pass\ndef f(x): raise Bad(object(), lambda: 0)", CAUGHT.format("pass"), PLAIN_ERROR
    ),
    "a decoding error": Unusual("def f(x): b'\\xff'.decode()", CAUGHT.format("assert error.start == 0"), ""),
    "an error of the system": Unusual(
        "def f(): open('/no/such/file')",
        "try: f()\nexcept FileNotFoundError as error:\n"
        "    assert error.errno == 2 and error.filename == '/no/such/file'\n"
        "else: assert False",
    ),
    "a key that is missing": Unusual(
        "def f(): return {}['x']", "try: f()\nexcept KeyError as error: assert str(error) == \"'x'\""
    ),
    "a failed assertion": Unusual(
        "def f(x): assert x > 0, 'positive'",
        "try: f(-1)\nexcept AssertionError as error: assert str(error) == 'positive'",
    ),
    "the end of an iterator": Unusual(
        "def f(): return next(iter(()))", "try: f()\nexcept StopIteration: pass\nelse: assert False", mode=TWO_PHASE
    ),
    "too deep a recursion": Unusual("def f(): return f()", "try: f()\nexcept RecursionError: pass\nelse: assert False"),
    "through assertRaises": Unusual(
        PLAIN_ERROR,
        "import unittest\nwith unittest.TestCase().assertRaisesRegex(ValueError, 'bad'): f(1)",
    ),
    "a warning": Unusual(
        "import warnings\ndef f():\n    warnings.warn('old', DeprecationWarning)\n    return 1", "assert f() == 1"
    ),
}
