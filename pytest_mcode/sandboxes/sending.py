"""How the supervisor gets into a sandbox: a bare ``python3`` reads its modules from stdin, as the first frame."""

from __future__ import annotations

from pathlib import Path

from pytest_mcode.sandboxes import inside
from pytest_mcode.sandboxes.inside import frames

#: Builtins are copied for our modules, so that a program that replaces one does not change what they do.
_BOOT = """\
import builtins, json, os, sys, types
def read(size):
    got = b""
    while len(got) < size:
        some = os.read(0, size - len(got))
        if not some:
            os._exit(0)
        got += some
    return got
inside = sys.modules["inside"] = types.ModuleType("inside")
inside.__path__ = []
for name, source in json.loads(read(int.from_bytes(read(4), "big"))):
    module = types.ModuleType("inside." + name)
    vars(module).update(__builtins__=dict(vars(builtins)), __package__="inside")
    sys.modules[module.__name__] = module
    setattr(inside, name, module)
    exec(compile(source, "inside/" + name + ".py", "exec"), vars(module))
inside.supervisor.main()
"""

#: Arguments of ``python3``: isolated from environment and user's packages, writing no bytecode.
ARGUMENTS = ("-I", "-B", "-c", _BOOT)


def modules() -> bytes:
    """The first frame: every module and its source, in the order of their imports."""
    folder = Path(inside.__file__).parent
    return frames.pack_json([(name, (folder / f"{name}.py").read_text()) for name in inside.MODULES])
