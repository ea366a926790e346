"""How the supervisor gets into a sandbox: a bare ``python3`` reads its modules from stdin, as the first frames."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class Place:
    """Where a supervisor finds itself.

    Attributes:
        alone: It is to be PID 1 of a namespace, and everything else there is a program's.
        writable: Directories that are its own, in which programs start; empty: the one that it starts in.
        many_uids: Each program can have a uid of its own.
        walled: Programs go behind Landlock, which leaves them ``readable`` and their own directory.
        readable: What programs may read of the system.
    """

    alone: bool
    writable: tuple[str, ...] = ()
    many_uids: bool = False
    walled: bool = False
    readable: tuple[str, ...] = ()


def opening(place: Place) -> bytes:
    """The first two frames: every module and its source, in the order of their imports; then the place."""
    folder = Path(inside.__file__).parent
    modules = [(name, (folder / f"{name}.py").read_text()) for name in inside.MODULES]
    return frames.pack_json(modules) + frames.pack_json(asdict(place))
