"""Ending the program before its tests have had their say."""

from __future__ import annotations

from tests.attacks import MEAN, NUMBER, SHUT, SQUARES, STACK, TOTAL, Hostile, Must, in_call, table

_ANY_ENDING = {
    "exit while loading": "import sys\nsys.exit(0)",
    "exit at once while loading": "import os\nos._exit(0)",
    "exit at once in the call": in_call("import os\nos._exit(0)"),
    "SystemExit in the call": in_call("raise SystemExit(0)"),
    "quit in the call": in_call("import site\nquit()"),
    "KeyboardInterrupt in the call": in_call("raise KeyboardInterrupt"),
    "GeneratorExit in the call": in_call("raise GeneratorExit"),
    "a BaseException of its own": in_call("raise type('End', (BaseException,), {})()"),
    "a SystemExit of its own": in_call("raise type('End', (SystemExit,), {'code': 0})(0)"),
    "exit in atexit": "import atexit, os\natexit.register(os._exit, 0)\ndef total(xs): raise SystemExit(0)",
    "exit in the excepthook": "import sys, os\nsys.excepthook = lambda *_: os._exit(0)\ndef total(xs): return 0",
    "exit in every hook": (
        "import sys, os, threading\n"
        "sys.unraisablehook = threading.excepthook = sys.displayhook = lambda *_: os._exit(0)\n"
        "class Dying:\n    def __del__(self): raise ValueError\n"
        "def total(xs): Dying(); return 0"
    ),
    "exit in a finalizer": "import os\nclass E:\n    def __del__(self): os._exit(0)\nkept = E()\ndef total(xs):\n"
    "    global kept\n    del kept",
    "exit in finally": in_call("try:\n    raise ValueError\nfinally:\n    import os\n    os._exit(0)"),
    "exit in a timer": (
        "import os, threading, time\nthreading.Timer(0.05, os._exit, (0,)).start()\n"
        "def total(xs): time.sleep(0.3); return 0"
    ),
    "exit in a signal handler": (
        "import os, signal, time\nsignal.signal(signal.SIGALRM, lambda *_: os._exit(0))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\ndef total(xs): time.sleep(0.3); return 0"
    ),
    "become another program": in_call("import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'pass'])"),
    "let a child go on and end well": in_call("import os\nif os.fork(): os._exit(0)\nreturn 0"),
    "end the parent of a copy": "import os\nif os.fork(): os._exit(0)\ndef total(xs): return 6",
    "abort": in_call("import os\nos.abort()"),
    "segmentation fault": in_call("import ctypes\nctypes.string_at(0)"),
    "kill itself": in_call("import os\nos.kill(os.getpid(), 9)"),
    "kill its group": in_call("import os\nos.killpg(0, 9)"),
    "endless recursion": "def total(xs): return total(xs)",
    "recursion past the stack": (
        "import sys\nsys.setrecursionlimit(10**9)\nclass R:\n    def __repr__(self): return repr(self)\n"
        "def total(xs): return repr(R())"
    ),
    "raise while it loads": "raise AssertionError",
    "no function at all": "x = 1",
    "an empty solution": "",
    "source that is no Python": "def total(xs):\n    return (",
    "source with a null byte": "def total(xs): return 0\0",
    "source with a lone surrogate": "x = '\ud800'\ndef total(xs): return x",
    "redefine what the tests define": "def check(f): pass\ndef total(xs): return 0",
    "an exception whose text ends the process": (
        "import os\nclass E(Exception):\n    def __str__(self): os._exit(0)\ndef total(xs): raise E"
    ),
    "an exception that cannot be told": (
        "class E(Exception):\n    args = property(lambda self: 1 / 0)\n    def __reduce__(self): 1 / 0\n"
        "    def __str__(self): raise self\ndef total(xs): raise E"
    ),
    "an exception of a lying class": (
        "class M(type):\n    def __getattribute__(cls, name): raise ValueError\n"
        "class E(Exception, metaclass=M): pass\ndef total(xs): raise E"
    ),
    "an exception with a hostile argument": (
        "class A:\n    def __reduce__(self): return eval, ('__import__(\"os\")._exit(0)',)\n"
        "def total(xs): raise ValueError(A())"
    ),
    "a huge exception": in_call("raise ValueError('x' * 30_000_000)"),
    "an exception that cannot be printed": in_call(r"raise ValueError('\ud800\x00\x1b[2J' * 1000)"),
    "a chain of exceptions without end": (
        "def total(xs):\n    e = ValueError()\n    e.__cause__ = e.__context__ = e\n    raise e"
    ),
    "a group of exceptions": in_call(
        "import builtins\nkind = getattr(builtins, 'ExceptionGroup', Exception)\nraise kind('all', [ValueError()])"
    ),
}
_HANGING = {
    "an exception whose text never ends": (
        "class E(Exception):\n    def __str__(self):\n        while True: pass\ndef total(xs): raise E"
    ),
    "never return": in_call("while True: pass"),
    "sleep": in_call("import time\ntime.sleep(100)"),
    "never load": "while True: pass",
    "catch everything for ever": ("def f():\n    try:\n        while True: pass\n    except BaseException: f()\nf()"),
    "stop itself": in_call("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"),
    "block every signal": (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
        "for n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "while True: pass"
    ),
    "a thread that cannot be joined": "import threading, time\n"
    "threading.Thread(target=time.sleep, args=(100,)).start()\n"
    "threading._shutdown()",
}

PROGRAMS = (
    *table(_ANY_ENDING, lambda name, source: Hostile(name, source, TOTAL)),
    *table(_HANGING, lambda name, source: Hostile(name, source, TOTAL, Must.TIME_OUT, SHUT, timeout=0.2)),
    Hostile("end the loop of the tests", "def square(x): raise StopIteration", SQUARES, two_phase=False),
    Hostile(
        "end the loop of the tests with a kind of StopIteration",
        "class S(StopIteration): pass\ndef square(x): raise S",
        SQUARES,
        two_phase=False,
    ),
    Hostile(
        "a result that takes for ever to write",
        "class L(list):\n    def __iter__(self):\n        while True: yield 1\n"
        "class D(dict):\n    def items(self):\n        while True: pass\n"
        "class G:\n    def __iter__(self): return self\n    def __next__(self):\n        while True: pass\n"
        "def total(xs): return G()",
        TOTAL,
        Must.TIME_OUT,
        two_phase=False,
        timeout=0.2,
    ),
    Hostile("raise what is expected, always", "def number(text): raise ValueError", NUMBER),
    Hostile("exit where an exception is expected", "def number(text): return 42 if text == '42' else exit()", NUMBER),
    Hostile("exit in a method", "import os\nclass Stack:\n    def push(self, x): os._exit(0)", STACK),
    Hostile("exit in making an object", "class Stack:\n    def __init__(self): raise SystemExit(0)", STACK),
    Hostile("exit between the asserts", "import os\ndef mean(xs): return 7 / 3 if len(xs) == 3 else os._exit(0)", MEAN),
)
