"""Speaking the sandbox's own protocol, and pickles that no pickler writes."""

from __future__ import annotations

from tests.attacks import CODEC, SHUT, TOTAL, Hostile, Must, right_but, table

#: What the attacks on the link between the two processes begin with.
_TOOLS = r"""
import os, socket, struct
LINK, CONTROL = 4, 3
def frame(body): return struct.pack(">I", len(body)) + body
def get(fd=LINK):
    size = struct.unpack(">I", os.read(fd, 4))[0]
    got = b""
    while len(got) < size: got += os.read(fd, size - len(got))
    return got
def put(body, fd=LINK):
    rest = frame(body)
    while rest: rest = rest[os.write(fd, rest):]
def answer_all(body):
    os.write(CONTROL, frame(b"L"))
    put(b"R")
    while True:
        get()
        put(body)
"""


def _answered(pickled: str) -> str:
    """A solution that answers every call with those bytes, an expression, where a result is expected."""
    return f'{_TOOLS}\nanswer_all(b"r" + {pickled})\n'


def _text(text: str) -> str:
    """Opcodes for a short text."""
    return rf'b"\x8c{chr(92)}x{len(text):02x}{text}"'


def _set(target: str, name: str, value: str) -> str:
    """Opcodes that set an attribute, by a state of slots, and leave nothing on the stack."""
    return f'{target} + b"N}}" + {_text(name)} + {value} + b"s\\x86b0"'


_FRACTION, _SLICE, _COUNTER = (
    rf'b"c{module}\n{name}\n"'
    for module, name in (("fractions", "Fraction"), ("builtins", "slice"), ("collections", "Counter"))
)
_KEYS = r'b"cinside.plain\nkeys\n"'
_ONE = rf'{_FRACTION} + b"K\x01\x85R"'
_PICKLES = {
    "a type changed to equal everything": f'{_set(_FRACTION, "__eq__", _SLICE)} + {_ONE} + b"."',
    "another type changed to equal everything": f'{_set(_COUNTER, "__eq__", _SLICE)} + {_COUNTER} + b")R."',
    "a type changed by a dictionary": rf'{_FRACTION} + b"}}" + {_text("__eq__")} + {_SLICE} + b"sb0" + {_ONE} + b"."',
    "our own functions changed": rf'b"cinside.plain\nkeys\nN}}" + {_text("__defaults__")} + b"K\x06\x85s\x86b0K\x06."',
    "a type changed to be made by us": f'{_set(_FRACTION, "__eq__", _KEYS)} + {_ONE} + b"."',
    "a fraction whose numerator is changed": rf'{_ONE} + b"N}}" + {_text("_numerator")} + {_SLICE} + b"s\x86b."',
    "a counter with a method of its own": rf'{_COUNTER} + b")R}}" + {_text("__eq__")} + {_SLICE} + b"sb."',
    "an ordered dict with an attribute": rf'b"ccollections\nOrderedDict\n)R}}" + {_text("keys")} + {_SLICE} + b"sb."',
    "a fraction that is not normalised": rf'{_FRACTION} + b"K\x00K\x00\x86}}" + {_text("_normalize")} + b"\x89s\x92."',
    "a fraction by NEWOBJ": rf'{_FRACTION} + b"K\x06\x85\x81."',
    "an index of an iterator": r'b"cinside.plain\niterator\n]K\x06a\x85RK\x00b."',
    "os.system": r'b"cos\nsystem\n\x8c\x04true\x85R."',
    "eval": r'b"cbuiltins\neval\n\x8c\x016\x85R."',
    "getattr": r'b"cbuiltins\ngetattr\ncbuiltins\nint\n\x8c\x08__call__\x86R."',
    "type": r'b"cbuiltins\ntype\n\x8c\x01E)}\x87R."',
    "object": r'b"cbuiltins\nobject\n)R."',
    "a dotted name": r'b"\x8c\x08builtins\x8c\x10int.__subclasses__\x93)R."',
    "a module of ours": r'b"cinside.plain\nKNOWN\n."',
    "the pickler of ours": r'b"cinside.plain\nload\n."',
    "an instance the old way": r'b"(ios\nsystem\n."',
    "an object the old way": r'b"(cos\nsystem\no."',
    "a persistent value": r'b"Px\n."',
    "a persistent value of the stack": r'b"K\x06Q."',
    "an extension code": r'b"\x82\x01."',
    "a buffer from elsewhere": r'b"\x97."',
    "a memo too far": r'b"K\x06r\xff\xff\xff\x7f."',
    "a value from an empty memo": r'b"h\x00."',
    "the stack drained": r'b"000."',
    "a mark too few": r'b"t."',
    "deeply nested lists": r'b"]" * 200_000 + b"a" * 199_999 + b"."',
    "deeply nested tuples": r'b"K\x06" + b"\x85" * 200_000 + b"."',
    "deeply nested slices": r'b"cbuiltins\nslice\n'
    r'q\x00" * 1 + b"h\x00" * 100_000 + b"K\x06" + b"\x85R" * 100_000 + b"."',
    "a list that holds itself": r'b"]q\x00h\x00a."',
    "a billion laughs": r'b"]q\x00K\x06a" + b"".join(b"](h%ch%cesq%c" % (n, n, n + 1) for n in range(30)) + b"."',
    "a range of everything": r'b"cbuiltins\nlist\ncbuiltins\nrange\n'
    r'\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85R\x85R."',
    "more bytes than there is memory": r'b"cbuiltins\nbytearray\n\x8a\x07\xff\xff\xff\xff\xff\xff\x7f\x85R."',
    "a string longer than it is": r'b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx."',
    "a frame of the pickle that is too long": r'b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fK\x06."',
    "a protocol of the future": r'b"\x80\xffK\x06."',
    "no end": r'b"K\x06"',
    "nothing": 'b""',
    "a text for a number": r'b"\x8c\x016."',
    "many values": r'b"K\x06." * 1000',
    "arguments that are none": r'b"K\x05." + b"K\x06."',
    "arguments of a wrong kind": r'b"K\x05." + b"]}\x86."',
    "arguments of other names": r'b"K\x05." + b")}\x8c\x0b__class____K\x06s\x86."',
}
_ANSWERS = {
    "an answer of no kind": 'answer_all(b"")',
    "an answer of an unknown kind": 'answer_all(b"x")',
    "an answer that cannot cross": 'answer_all(b"u")',
    "a link closed": 'os.write(CONTROL, frame(b"L"))\nput(b"R")\nget()\nos.close(LINK)',
    "a link shut for reading": (
        'os.write(CONTROL, frame(b"L"))\nput(b"R")\n'
        "s = socket.socket(fileno=LINK)\ns.shutdown(socket.SHUT_RD)\nput(b'rK\\x06.')"
    ),
    "an exception told of no kind": r'answer_all(b"eK\x06.")',
    "an exception told of a wrong kind": r'answer_all(b"e(\x8c\x03inttK\x06.")',
    "an exception told that is a type": "import pickle\n"
    "answer_all(b'e' + pickle.dumps((('E', ('int',), (6,), ''), ''), 4))",
    "an exception told with an impossible name": (
        "import pickle\nanswer_all(b'e' + pickle.dumps((('\\0', ('ValueError',), (), ''), ''), 4))"
    ),
    "an exception told of types that do not mix": (
        "import pickle\nanswer_all(b'e' + pickle.dumps((('E', ('OSError', 'ImportError'), (), ''), ''), 4))"
    ),
    "an exception told that ends programs": (
        "import pickle\nanswer_all(b'e' + pickle.dumps((('SystemExit', ('SystemExit',), (0,), ''), ''), 4))"
    ),
    "an answer before it is asked": r'os.write(CONTROL, frame(b"L"))' + "\nput(b'R')\nput(b'rK\\x06.')\nos._exit(0)",
    "ready before it has loaded": 'put(b"R")\nraise ValueError',
    "descriptors along with an answer": (
        'os.write(CONTROL, frame(b"L"))\nput(b"R")\nget()\ns = socket.socket(fileno=LINK)\n'
        "s.sendmsg([frame(b'rK\\x05.')], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack('3i', 0, 1, 2))])"
    ),
    "loaded and ended, claimed on every descriptor": (
        "said = [b'L', b'S', b'E', b'U', b'R', b'S' + b'0' * 32, b'rK\\x06.', b'Etests\\nAssertionError']\n"
        "for fd in range(256):\n    for body in said:\n        try: os.write(fd, frame(body))\n"
        "        except OSError: pass\n"
        "os._exit(0)"
    ),
    "frames of every kind to the supervisor": (
        "for kind in range(256):\n    os.write(CONTROL, frame(bytes([kind])))\n"
        "    os.write(CONTROL, frame(bytes([kind]) * 40))\n"
        "os.write(CONTROL, frame(b''))\nos._exit(0)"
    ),
    "an endless chain of frames to the supervisor": (
        "import time\nend = time.monotonic() + 0.3\nos.set_blocking(CONTROL, True)\n"
        "while time.monotonic() < end: os.write(CONTROL, frame(b'') * 1000)\nos._exit(0)"
    ),
    "a frame too long for the supervisor": "os.write(CONTROL, b'\\xff' * 8)\nos._exit(0)",
    "a traceback as long as can be": "put(b'E' + b'\\xff' * 65535, CONTROL)\nos._exit(0)",
    "a traceback longer than can be": "put(b'E' + b'\\xff' * 65536, CONTROL)\nos._exit(0)",
    "failing early, and then right": ("put(b'Etests\\nnever mind', CONTROL)\ndef total(xs): return sum(xs)"),
    "a secret guessed": "for _ in range(2000): put(b'S' + os.urandom(16).hex().encode(), CONTROL)\nos._exit(0)",
}
_HIJACKS = {
    "the protocol played to its end while loading": (
        "os.write(CONTROL, frame(b'L'))\nos.set_blocking(CONTROL, False)\nimport time\nfor _ in range(20):\n"
        "    time.sleep(0.005)\n    try:\n        get(CONTROL)\n        secret = get(CONTROL)\n"
        "    except (OSError, struct.error): continue\n"
        "    put(b'S' + secret, CONTROL)\n    os._exit(0)\ndef total(xs): return 0"
    ),
    "the protocol played to its end by a thread": (
        "import threading\ndef play():\n    try:\n        get(CONTROL)\n        put(b'S' + get(CONTROL), CONTROL)\n"
        "    except (OSError, struct.error): pass\n    os._exit(0)\ndef total(xs): return 0\n"
        "threading.Thread(target=play, daemon=True).start()"
    ),
    "the secret read while the tests call": (
        "def total(xs):\n    os.set_blocking(CONTROL, False)\n    try: put(b'S' + get(CONTROL), CONTROL)\n"
        "    except (OSError, struct.error): return 0\n    os._exit(0)"
    ),
}
_STALLED = {
    "half a frame to the tests": 'os.write(CONTROL, frame(b"L"))\nput(b"R")\nget()\n'
    'os.write(LINK, b"\\0\\0\\0\\7r")\nget()',
    "a frame of four gigabytes": 'os.write(CONTROL, frame(b"L"))\nput(b"R")\nget()\n'
    'os.write(LINK, b"\\xff\\xff\\xff\\xffr")\nget()',
    "never ready": 'os.write(CONTROL, frame(b"L"))\nget()',
    "half a frame to the supervisor": "import time\nos.write(CONTROL, b'\\0\\0')\ntime.sleep(100)",
    "tests that are never read": "import time\nos.write(CONTROL, frame(b'L'))\nput(b'R')\ntime.sleep(100)",
}
_NESTED = (
    _TOOLS
    + r"""
class E(str):
    __eq__ = lambda *_: True
    __hash__ = str.__hash__
def code(text):
    try: size = get and os.write(LINK, b"") is not None
    except OSError: return E("x")
    os.write(LINK, frame(b"r" + {pickled}))
    while True:
        get()
        os.write(LINK, frame(b"r\x8c\x00."))
def decode(text): return E()
"""
)
_UNFIT = {
    "a value that cannot be passed back, so that isolation is given up": r'b"]" * 50_000 + b"a" * 49_999 + b"."',
    "a value too deep to pass back": r'b"K\x06" + b"\x85" * 50_000 + b"."',
    "an iterator that ends badly": (r'b"cinside.plain\niterator\n](\x8c\x01E\x8c\x0aValueErrort" b"\x86R."'),
}
_RIGHT = {
    "answers known in advance": _TOOLS + 'os.write(CONTROL, frame(b"L"))\nput(b"R")\n'
    "for wanted in (6, 0, 6, 17):\n    put(b'rK' + bytes([wanted]) + b'.')\nwhile True: get()",
    "answers looked up by the arguments": "known = {(1, 2, 3): 6, (): 0, (10, -4): 6, (17,): 17}\n"
    "def total(xs): return known[tuple(xs)]",
    "loaded said again and again": right_but("import os\nfor _ in range(100): os.write(3, b'\\0\\0\\0\\1L')"),
    "a right answer sent in pieces": _TOOLS + "import time\nos.write(CONTROL, frame(b'L'))\nput(b'R')\n"
    "for wanted in (6, 0, 6, 17):\n    get()\n    for byte in frame(b'rK' + bytes([wanted]) + b'.'):\n"
    "        os.write(LINK, bytes([byte]))\n        time.sleep(0.001)\nwhile True: get()",
}

PROGRAMS = (
    *table(
        _PICKLES,
        lambda name, pickled: Hostile(f"pickle: {name}", _answered(pickled), TOTAL, homes=SHUT, two_phase=False),
    ),
    *table(_ANSWERS, lambda name, body: Hostile(name, f"{_TOOLS}\n{body}\n", TOTAL, two_phase=False)),
    *table(_HIJACKS, lambda name, body: Hostile(name, f"{_TOOLS}\n{body}\n", TOTAL, two_phase=False)),
    *table(
        _STALLED,
        lambda name, body: Hostile(
            name, f"{_TOOLS}\n{body}\n", TOTAL, Must.TIME_OUT, SHUT, two_phase=False, timeout=0.2
        ),
    ),
    *table(_UNFIT, lambda name, pickled: Hostile(name, _NESTED.replace("{pickled}", pickled), CODEC, two_phase=False)),
    Hostile(
        "the next call answered by a thread",
        f"{_TOOLS}\nimport threading\ndef play():\n    while True:\n        get()\n        put(b'rK\\x06.')\n"
        "def total(xs):\n    threading.Thread(target=play, daemon=True).start()\n    return 6",
        TOTAL,
        two_phase=False,
        timeout=0.5,
    ),
    *table(_RIGHT, lambda name, source: Hostile(name, source, TOTAL, Must.PASS, two_phase=False)),
)
