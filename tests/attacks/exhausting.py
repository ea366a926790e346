"""Using up what a machine has."""

from __future__ import annotations

from tests.attacks import ANYWHERE, SHUT, TOTAL, Hostile, Must, in_call, right_but, table

_WRONG = "\ndef total(xs): return 0\n"
_LIMITED = {
    "memory": "held = bytearray(1 << 34)",
    "a huge number": "held = 1 << (1 << 33)",
    "a huge list": "held = [0] * (1 << 33)",
    "stdout": "while True: print('x' * 10_000)",
    "stderr": "import sys\nwhile True: print('x' * 10_000, file=sys.stderr)",
    "both streams, with zeros": "import os\nwhile True:\n    os.write(1, b'\\0' * 65536)\n"
    "    os.write(2, b'\\xff' * 65536)",
    "descriptors": "import os\nheld = [os.open('/dev/null', 0) for _ in range(100_000)]",
    "pipes": "import os\nheld = [os.pipe() for _ in range(100_000)]",
    "sockets": "import socket\nheld = [socket.socketpair() for _ in range(100_000)]",
    "a file": "with open('big', 'wb') as big:\n    for _ in range(4): big.write(b'x' * (1 << 26))",
    "a sparse file": "import os\nwith open('big', 'wb') as big: os.truncate(big.fileno(), 1 << 40)",
    "recursion": "def f(n): return f(n + 1)\nf(0)",
    "recursion of C": "import sys\nsys.setrecursionlimit(1 << 30)\nx = ()\nfor _ in range(1_000_000): x = (x,)\n"
    "hash(x)",
    "the parser": "eval('(' * 100_000)",
    "the compiler": "exec('-' * 100_000 + '1')",
    "a regular expression's stack": "import re\nre.compile('(' * 50_000)",
}
_BOMBS = {
    "processes": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "processes that exit": "import os\nwhile True:\n    try:\n        if os.fork() == 0: os._exit(0)\n"
    "    except OSError: pass",
    "sessions": "import os\nwhile True:\n    try:\n        if os.fork() == 0: os.setsid()\n    except OSError: pass",
}
_SPENT = {
    "threads": "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(100,)).start()",
    "memory in pieces": "held = []\nwhile True: held.append(bytearray(1 << 24))",
    "the disk": "n = 0\nwhile True:\n    with open(f'/tmp/x{n}', 'wb') as f: f.write(b'x' * (1 << 22))\n    n += 1",
    "/dev/shm": "n = 0\nwhile True:\n    with open(f'/dev/shm/{n}', 'wb') as f: f.write(b'x' * (1 << 20))\n    n += 1",
    "queues": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nwhile True:\n"
    "    if libc.msgget(0, 0o1600) < 0: raise OSError",
    "queues with names": "import ctypes\nlibc = ctypes.CDLL('librt.so.1', use_errno=True)\nn = 0\nwhile True:\n"
    "    n += 1\n"
    "    if libc.mq_open(b'/q%d' % n, 0o102, 0o600, None) < 0: raise OSError",
}
#: What no limit of a single process counts: memory of others, which a control group does, and inodes.
_COUNTED = {
    "directories": "import os\nn = 0\nwhile True:\n    os.makedirs(f'/tmp/x{n}/x')\n    n += 1",
    "shared memory": "import mmap\nheld = []\nwhile True:\n    m = mmap.mmap(-1, 1 << 26)\n"
    "    m[:] = b'x' * len(m)\n    held.append(m)",
    "memory of many": "import os, time\nfor _ in range(12):\n    if os.fork() == 0:\n"
    "        held = bytearray(1 << 26)\n"
    "        for n in range(0, len(held), 4096): held[n] = 1\n        time.sleep(100)\ntime.sleep(0.3)",
    "files in memory": "import os\nheld = []\nwhile True:\n    fd = os.memfd_create('x')\n"
    "    os.write(fd, b'x' * (1 << 24))\n    held.append(fd)",
    "System V memory": "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.shmat.restype = ctypes.c_void_p\n"
    "for _ in range(64):\n    held = libc.shmget(0, 1 << 22, 0o1600)\n    at = libc.shmat(held, None, 0)\n"
    "    if held < 0 or at in (None, 2**64 - 1): raise MemoryError\n    ctypes.memset(at, 1, 1 << 22)\n"
    "raise MemoryError",
}
_SPENDING_TESTS = {
    "a result of 200 megabytes": in_call("return bytes(200 << 20)"),
    "a result of many parts": in_call("return [[] for _ in range(100_000)]"),
    "a result that unpacks to more": "import os, struct\nos.write(3, b'\\0\\0\\0\\1L')\nos.write(4, b'\\0\\0\\0\\1R')\n"
    "body = b'rcbuiltins\\nlist\\ncbuiltins\\nrange\\nJ\\xff\\xff\\xff\\x7f\\x85R\\x85R.'\n"
    "os.read(4, 100)\nos.write(4, struct.pack('>I', len(body)) + body)\nos.read(4, 100)",
    "an iterator without end": "import itertools\ndef total(xs): return itertools.count()",
    "a generator without end": "def total(xs):\n    while True: yield 6",
    "an exception of 100 megabytes": in_call("raise ValueError('x' * (100 << 20))"),
}
_LEFT_FULL = {
    "leave the disk full": "try:\n    n = 0\n    while True:\n"
    "        with open(f'/tmp/full{n}', 'wb') as f: f.write(b'x' * (1 << 24))\n"
    "        n += 1\nexcept OSError: pass",
    "leave many directories": "import os\ntry:\n    n = 0\n    while n < 3000:\n"
    "        os.makedirs(f'/tmp/d{n}/x')\n        n += 1\nexcept OSError: pass",
    "leave /dev/shm full": "try:\n    n = 0\n    while True:\n"
    "        with open(f'/dev/shm/full{n}', 'wb') as f: f.write(b'x' * (1 << 20))\n"
    "        n += 1\nexcept OSError: pass",
}

_LEFT_COUNTED = {
    "leave no inode": "try:\n    n = 0\n    while True:\n        open(f'/tmp/full{n}', 'w').close()\n"
    "        n += 1\nexcept OSError: pass",
}

PROGRAMS = (
    *table(_LIMITED, lambda name, body: Hostile(f"use up {name}", body + _WRONG, TOTAL)),
    *table(_BOMBS, lambda name, body: Hostile(f"bomb of {name}", body, TOTAL, Must.TIME_OUT, SHUT, timeout=0.2)),
    *table(_SPENT, lambda name, body: Hostile(f"use up {name}", body + _WRONG, TOTAL, homes=SHUT, timeout=2.0)),
    *table(_COUNTED, lambda name, body: Hostile(f"use up {name}", body + _WRONG, TOTAL, homes=("docker",))),
    *table(_SPENDING_TESTS, lambda name, source: Hostile(name, source, TOTAL, homes=SHUT, two_phase=False)),
    *table(_LEFT_FULL, lambda name, body: Hostile(name, right_but(body), TOTAL, Must.PASS, SHUT)),
    *table(_LEFT_COUNTED, lambda name, body: Hostile(name, right_but(body), TOTAL, Must.PASS, ("docker",))),
    Hostile(
        "use up inodes",
        "n = 0\nwhile True:\n    open(f'/tmp/x{n}', 'w').close()\n    n += 1",
        TOTAL,
        homes=SHUT,
        timeout=0.3,
    ),
    Hostile("print a little too much", right_but("print('x' * 1_000_000)"), TOTAL, Must.PASS, ANYWHERE),
)
