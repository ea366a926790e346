"""Looking for the tests, the secret, or what another program left in memory."""

from __future__ import annotations

from tests.attacks import ANYWHERE, SHUT, TOTAL, WALLED, Hostile, if_it_works, table

#: Looks for what only the tests say. The pattern does not match itself.
_PATTERN = r"""
import re, os, sys
pattern = re.compile(rb"candid[a]te\(\[1, 2, 3\]\)")
def look(data):
    global won
    if isinstance(data, str): data = data.encode("utf-8", "replace")
    if pattern.search(data): won = True
won = False
"""
_MEMORY = r"""
def memory(pid):
    try: lines = open(f"/proc/{pid}/maps").readlines()
    except OSError: return
    try: held = open(f"/proc/{pid}/mem", "rb", 0)
    except OSError: return
    for line in lines:
        place, rights = line.split()[:2]
        if not rights.startswith("r") or "[v" in line: continue
        start, end = (int(part, 16) for part in place.split("-"))
        try:
            held.seek(start)
            look(held.read(end - start))
        except (OSError, OverflowError, ValueError): pass
def others(): return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
"""
_CALLS = r"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
"""
_WAYS = {
    "frames": "frame = sys._getframe()\nwhile frame:\n    look(repr({**frame.f_locals, **frame.f_globals}))\n"
    "    frame = frame.f_back",
    "objects": "import gc\nfor held in gc.get_objects():\n    try: look(repr(held)[:100_000])\n"
    "    except Exception: pass",
    "referrers": "import gc\nfor held in gc.get_referrers(sys.modules, os, re):\n"
    "    try: look(repr(held)[:100_000])\n    except Exception: pass",
    "the call stack": "import inspect\nfor info in inspect.stack(): look(repr(info) + repr(info.frame.f_locals))",
    "the line cache": "import linecache\nlook(repr(linecache.cache))",
    "modules": "for module in list(sys.modules.values()): look(repr(vars(module))[:1_000_000])",
    "its own memory": "memory('self')",
    "environments and command lines": (
        "for pid in [*others(), 'self']:\n    for name in ('environ', 'cmdline', 'stack', 'auxv'):\n"
        "        try: look(open(f'/proc/{pid}/{name}', 'rb').read())\n        except OSError: pass"
    ),
    "descriptors": (
        "for fd in range(256):\n    if fd in (1, 2): continue\n    try:\n        os.set_blocking(fd, False)\n"
        "        look(os.read(fd, 1 << 16))\n    except OSError: pass"
    ),
    "files": "for top in ('.', '..', '/tmp', '/dev/shm', '/run'):\n    for place, _, names in os.walk(top):\n"
    "        for name in names:\n            try: look(open(os.path.join(place, name), 'rb').read(1 << 20))\n"
    "            except OSError: pass",
}
_PRIVILEGED = {
    "memory of others": "for pid in others(): memory(pid)",
    "descriptors of others": (
        "for pid in others():\n    try: names = os.listdir(f'/proc/{pid}/fd')\n    except OSError: continue\n"
        "    for name in names:\n"
        "        try: look(os.read(os.open(f'/proc/{pid}/fd/{name}', os.O_RDONLY | os.O_NONBLOCK), 1 << 16))\n"
        "        except OSError: pass"
    ),
    "the work of others, read by a system call": _CALLS
    + (
        "class V(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]\n"
        "room = ctypes.create_string_buffer(4096)\nwon = any(\n"
        "    libc.process_vm_readv(pid, ctypes.byref(V(ctypes.addressof(room), 8)), 1,\n"
        "        ctypes.byref(V(id(None), 8)), 1, 0) >= 0\n    for pid in others())"
    ),
    "attaching to others": _CALLS + "won = any(libc.ptrace(16, pid, None, None) == 0 for pid in others())",
    "seizing others": _CALLS + "won = any(libc.ptrace(0x4206, pid, None, None) == 0 for pid in others())",
    "taking descriptors of others": _CALLS + "for pid in others():\n    fd = libc.syscall(434, pid, 0)\n"
    "    won = won or any(libc.syscall(438, fd, n, 0) >= 0 for n in range(16))",
    "comparing with others": _CALLS
    + "won = any(libc.syscall(312, os.getpid(), pid, 0, 0, 0) >= 0 for pid in others())",
    "directories of others": "for pid in others():\n    for name in ('cwd', 'root', 'exe'):\n"
    "        try: os.readlink(f'/proc/{pid}/{name}')\n"
    "        except OSError: pass\n        else: won = True",
}


#: The processes nearest to it: the supervisor, and the one that runs the tests.
_NEAR = (
    "parent = os.getppid()\nnear = open(f'/proc/{parent}/task/{parent}/children').read().split()\n"
    "for pid in [str(parent), *near]:\n    if pid == str(os.getpid()): continue\n    memory(pid)\n"
    "    for name in ('environ', 'maps', 'mem', 'auxv'):\n"
    "        try: open(f'/proc/{pid}/{name}', 'rb')\n        except OSError: pass\n        else: won = True"
)


def _in_call(way: str) -> str:
    """A solution that looks only when the tests are there to be found, if they are anywhere."""
    return (
        f"{_PATTERN}{_MEMORY}\ndef total(xs):\n    global won\n"
        + "".join(f"    {line}\n" for line in way.splitlines())
        + "    return sum(xs) if won else None\n"
    )


#: What must not be found in its own memory is what an earlier program left there: its source, tests and output.
_OWN = (
    "frames",
    "objects",
    "referrers",
    "the call stack",
    "the line cache",
    "modules",
    "its own memory",
    "descriptors",
)

PROGRAMS = (
    *table(
        _WAYS,
        lambda name, way: Hostile(
            f"look for the tests in {name}",
            if_it_works(_PATTERN + _MEMORY + way),
            TOTAL,
            two_phase=name in _OWN,
            homes=WALLED if name == "files" else SHUT if name == "environments and command lines" else ANYWHERE,
        ),
    ),
    *table(
        {name: _WAYS[name] for name in _OWN},
        lambda name, way: Hostile(
            f"look for the tests, while they call, in {name}", _in_call(way), TOTAL, two_phase=False
        ),
    ),
    Hostile("look for the tests in the process beside it", if_it_works(_PATTERN + _MEMORY + _NEAR), TOTAL),
    Hostile("look for the tests, while they call, beside it", _in_call(_NEAR), TOTAL, two_phase=False),
    *table(
        _PRIVILEGED,
        lambda name, way: Hostile(
            f"look for the tests in {name}", if_it_works(_PATTERN + _MEMORY + way), TOTAL, homes=SHUT
        ),
    ),
)
