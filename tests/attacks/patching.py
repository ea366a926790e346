"""Changing what the tests, or the sandbox's own code, may lean on."""

from __future__ import annotations

from tests.attacks import CODEC, MEAN, NUMBER, STACK, TOTAL, Hostile, Must, right_but, table

_WRONG = "\ndef total(xs): return 0\n"
_BUILTINS = {
    "AssertionError": "builtins.AssertionError = type('AssertionError', (KeyError,), {})",
    "exec": "builtins.exec = lambda *_, **__: None",
    "compile": "builtins.compile = lambda *_, **__: (lambda: 0).__code__",
    "isinstance": "builtins.isinstance = lambda *_: True",
    "len": "builtins.len = lambda _: 0",
    "print and open": "builtins.print = builtins.open = lambda *_, **__: None",
    "import": "builtins.__import__ = lambda *_, **__: sys",
    "BaseException": "builtins.BaseException = builtins.Exception = type('E', (ValueError,), {})",
    "bytes and bytearray": "builtins.bytes = builtins.bytearray = builtins.int = str",
    "all of them": "for name in dir(builtins):\n    if not name.startswith('__'): setattr(builtins, name, None)",
    "none of them": "vars(builtins).clear()",
}
_MODULES = {
    "json": "import json\njson.loads = lambda *_, **__: {'tests': ''}\njson.dumps = lambda *_, **__: '{}'",
    "pickle": "import pickle\npickle.Pickler = pickle.Unpickler = pickle.loads = pickle.dumps = lambda *_, **__: b''",
    "struct": "import struct\nstruct.pack = struct.unpack = lambda *_: b''",
    "os": "import os\nos.read = os.write = os._exit = lambda *_: b'\\0\\0\\0\\0'",
    "io": "import io\nio.BytesIO = io.StringIO = object",
    "traceback": "import traceback\ntraceback.extract_tb = traceback.format_list = lambda *_: exit()",
    "linecache": "import linecache\nlinecache.cache = linecache.getline = linecache.checkcache = None",
    "hmac": "import hmac\nhmac.compare_digest = lambda *_: True",
    "types": "import types\ntypes.ModuleType = dict",
    "every module": "import sys\nfor module in list(sys.modules.values()):\n    for name in list(vars(module)):\n"
    "        if not name.startswith('__') and module.__name__ not in ('builtins', 'solution'): setattr(module, "
    "name, None)",
    "no module": "import sys\nsys.modules.clear()",
    "the module's own name": "import sys, types\nsys.modules['solution'] = types.ModuleType('solution')\n"
    "__name__ = 'other'",
    "the sandbox's locals": (
        "import sys, ctypes\nframe = sys._getframe(1)\nwhile frame:\n    for name in frame.f_locals:\n"
        "        frame.f_locals[name] = None\n    frame = frame.f_back"
    ),
}
_PYTHON = {
    "an import hook": "import sys\nclass H:\n    def find_spec(self, *_): import os; os._exit(0)\n"
    "sys.meta_path.insert(0, H())",
    "the import path": "import sys\nsys.path[:] = ['.']\nopen('math.py', 'w').write('isclose = lambda *_: True')",
    "site hooks": "import os\nfor name in ('usercustomize.py', 'sitecustomize.py', 'x.pth', 'math.pyc'):\n"
    "    open(name, 'w').write('import os; os._exit(0)')\n    os.environ['PYTHONSTARTUP'] = name",
    "streams that raise": "import sys\nclass S:\n    def __getattr__(self, name): raise SystemExit(0)\n"
    "sys.stdout = sys.stderr = sys.stdin = sys.__stdout__ = sys.__stderr__ = S()",
    "no streams": "import sys\nsys.stdout = sys.stderr = sys.stdin = None\ndel sys.__stdout__",
    "closed streams": "import sys\nsys.stdout.close()\nsys.stderr.close()\nsys.stdin.close()",
    "warnings as errors": "import warnings\nwarnings.simplefilter('error')\nwarnings.warn = lambda *_, **__: exit()",
    "a recursion limit of nothing": "import sys\nsys.setrecursionlimit(40)",
    "garbage collection": "import gc\ngc.disable()\ngc.set_threshold(1, 1, 1)\ngc.callbacks.append(lambda *_: exit())",
    "the switch interval": "import sys\nsys.setswitchinterval(1e-9)\nsys.set_int_max_str_digits(640)"
    " if hasattr(sys, 'set_int_max_str_digits') else None",
    "the decimal context": "import decimal\ndecimal.getcontext().prec = 1\ndecimal.DefaultContext.prec = 1",
    "fault handling": "import faulthandler\nfaulthandler.enable()\nfaulthandler.dump_traceback_later(0.01, exit=True)",
    "a thread that raises everywhere": (
        "import threading, ctypes, time\ndef spoil():\n    while True:\n        for ident in list(threading._active):\n"
        "            if ident != threading.get_ident():\n"
        "                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), "
        "ctypes.py_object(SystemExit))\n"
        "        time.sleep(0.001)\nthreading.Thread(target=spoil, daemon=True).start()"
    ),
    "the value of small numbers": (
        "import ctypes\nfor n in range(1, 100):\n    ctypes.c_uint32.from_address(id(n) + 24).value = 0"
    ),
}
_DESCRIPTORS = {
    "close every descriptor": "import os\nos.closerange(0, 1024)",
    "close every descriptor but our own": "import os\nos.closerange(3, 1024)",
    "put nothing in the place of every descriptor": (
        "import os\nnothing = os.open('/dev/null', os.O_RDWR)\nfor fd in range(256):\n"
        "    if fd != nothing: os.dup2(nothing, fd)"
    ),
    "swap the sandbox's descriptors": "import os\nspare = os.dup(3)\nos.dup2(4, 3)\nos.dup2(spare, 4)",
    "put standard output in their place": "import os\nos.dup2(1, 3)\nos.dup2(1, 4)",
    "let them block never": "import os\nos.set_blocking(3, False)\nos.set_blocking(4, False)",
    "shut them": "import socket\nfor fd in (3, 4): socket.socket(fileno=fd).shutdown(socket.SHUT_RDWR)",
}
_TRACED = (
    "import sys, threading\n"
    "def trace(frame, event, _):\n"
    "    frame.f_trace_lines = True\n"
    "    if event == 'line' and frame.f_code.co_filename == '<tests>' and frame.f_code.co_name == 'check':\n"
    "        last = max(line for _, _, line in frame.f_code.co_lines() if line)\n"
    "        if frame.f_lineno < last: frame.f_lineno = last\n"
    "    return trace\n"
)
_TRACES = {
    "settrace in the call": _TRACED + "def total(xs):\n    frame = sys._getframe(1)\n    while frame:\n"
    "        frame.f_trace = trace\n        frame = frame.f_back\n    sys.settrace(trace)\n    return 6",
    "setprofile": "import sys, threading, os\ndef prof(frame, event, _):\n"
    "    if frame.f_code.co_filename == '<tests>': os._exit(0)\n"
    "sys.setprofile(prof)\nthreading.setprofile(prof)" + _WRONG,
    "an audit hook": "import sys, os\nsys.addaudithook(lambda name, _: os._exit(0) if name == 'compile' else None)"
    + _WRONG,
    "the sandbox's own functions": (
        "import sys\nframe = sys._getframe()\nwhile frame:\n    for name, value in list(frame.f_globals.items()):\n"
        "        if callable(value) and 'inside' in str(frame.f_globals.get('__package__')):\n"
        "            frame.f_globals[name] = lambda *_, **__: b''\n    frame = frame.f_back\n"
        "def total(xs): return 0"
    ),
    "the code of the tests": (
        "import sys\ndef total(xs):\n    frame = sys._getframe(1)\n    import ctypes\n"
        "    frame.f_locals['candidate'] = None\n    frame.f_globals['check'] = lambda _: None\n    return 0"
    ),
}
_HARMLESS = {
    "umask": "import os\nos.umask(0o777)",
    "niceness": "import os\nos.nice(19)",
    "its limits": "import resource\nfor name in ('NOFILE', 'FSIZE', 'STACK', 'MEMLOCK'):\n"
    "    number = getattr(resource, 'RLIMIT_' + name)\n    resource.setrlimit(number, (20, 20))",
    "its name": "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.prctl(15, b'python3\\0', 0, 0, 0)\n"
    "libc.prctl(4, 0, 0, 0, 0)\n"
    "libc.prctl(1, 0, 0, 0, 0)\nlibc.prctl(36, 1, 0, 0, 0)",
    "its processors": "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})",
    "its scheduler": "import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n",
    "its session": "import os\ntry: os.setsid()\nexcept OSError: pass\n"
    "os.setpgid(0, 0) if os.getsid(0) != os.getpid() else None",
    "its locale": "import locale\nlocale.setlocale(locale.LC_ALL, 'C')",
    "its time zone": "import os, time\nos.environ['TZ'] = 'Mars/Phobos'\ntime.tzset()\n"
    "time.time = time.monotonic = lambda: 0.0",
    "its environment": "import os\nos.environ.clear()\nos.environ['LD_PRELOAD'] = '/nothing'\n"
    "os.environ['PYTHONHOME'] = '/nothing'",
    "its random numbers": "import random\nrandom.seed(0)\nrandom.random = lambda: 0.5",
    "its signals": "import signal\nfor n in range(1, 32):\n    try: signal.signal(n, lambda *_: None)\n"
    "    except (OSError, ValueError): pass\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)",
    "its coredump": "import resource\ntry: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))\n"
    "except (OSError, ValueError): pass",
}

PROGRAMS = (
    *table(
        _BUILTINS,
        lambda name, body: Hostile(f"builtins: {name}", f"import builtins, sys\n{body}{_WRONG}", TOTAL),
    ),
    *table(_MODULES, lambda name, body: Hostile(f"replace {name}", body + _WRONG, TOTAL)),
    *table(_PYTHON, lambda name, body: Hostile(f"spoil {name}", body + _WRONG, TOTAL)),
    *table(
        _DESCRIPTORS,
        lambda name, body: Hostile(name, body + _WRONG, TOTAL, timeout=1.0),
    ),
    *table(_TRACES, lambda name, source: Hostile(name, source, TOTAL, two_phase=False)),
    *table(_HARMLESS, lambda name, body: Hostile(f"change {name}", right_but(body), TOTAL, Must.PASS)),
    Hostile(
        "math.isclose and abs",
        "import math, builtins\nmath.isclose = lambda *_, **__: True\nbuiltins.abs = lambda _: 0\n"
        "def mean(xs): return 0.0",
        MEAN,
        two_phase=False,
    ),
    Hostile(
        "settrace jumps over asserts",
        _TRACED + "sys.settrace(trace)\nthreading.settrace(trace)\ndef total(xs): return 17",
        TOTAL,
    ),
    Hostile("operator.eq", "import operator\noperator.eq = lambda *_: True\ndef total(xs): return 0", TOTAL),
    Hostile(
        "exceptions of the tests",
        "import builtins\nbuiltins.ValueError = BaseException\ndef number(text): return 42",
        NUMBER,
    ),
    Hostile(
        "str",
        "import builtins\nbuiltins.str = lambda *_: 'x'\ndef code(text): return ''\ndef decode(text): return ''",
        CODEC,
    ),
    Hostile(
        "a method that patches the asserts",
        "import builtins\nclass Stack:\n    def push(self, x): builtins.AssertionError = SystemExit\n"
        "    def pop(self): return 0",
        STACK,
    ),
)
