"""What a program's process does: the solution first, the tests once it has loaded, the secret once they have run.

In `two_phase` the code here shares an interpreter with code that may want to pass without being right. So nothing
after the first line of the solution goes through what a solution can replace: names are bound at import, builtins are a
copy that the loader made, and the secret stays in the socket until the tests have run to their end.
"""

from __future__ import annotations

import builtins
import linecache
import sys
import types
from os import _exit
from sys import setprofile, settrace
from traceback import extract_tb, format_exception_only, format_list
from typing import Any

from . import frames

#: First bytes of what a program says: it has loaded, it has run to its end, it has met an exception.
LOADED, ENDED, RAISED = b"L", b"S", b"E"
#: Characters of a traceback that are told.
TOLD = 6000
#: Frames of a traceback that are told.
DEPTH = 6
#: Attribute of an exception that came from another process: the frames that it had there.
WHERE = "__where__"


def two_phase(control: int, solution: str) -> None:
    """Execute ``solution``, then the tests that come over ``control`` in its namespace; never returns."""
    say, hear, leave = frames.write, frames.read, _exit
    namespace = module()
    try:
        execute(solution, "<solution>", namespace)
    except BaseException as error:
        raised(control, "solution", error)
    settrace(None)  # a tracer may jump over lines
    setprofile(None)
    say(control, LOADED)
    tests = hear(control)
    if tests is None:
        leave(1)
    try:
        execute(tests.decode("utf-8", "surrogatepass"), "<tests>", namespace)
    except BaseException as error:
        raised(control, "tests", error)
    flush()
    say(control, ENDED, hear(control) or b"")
    leave(0)


def module() -> dict[str, Any]:
    """The namespace of a module that is no ``__main__``: a solution's main guard is not what is judged."""
    made = types.ModuleType("solution")
    made.__dict__["__builtins__"] = builtins
    sys.modules["solution"] = made
    return made.__dict__


def execute(source: str, name: str, namespace: dict[str, Any]) -> None:
    """Execute ``source`` as a file of that name, whose lines tracebacks can show."""
    exec(compiled(source, name), namespace)


def compiled(source: str, name: str) -> types.CodeType:
    """Compile ``source`` as a file of that name, whose lines tracebacks can show."""
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    return compile(source, name, "exec", dont_inherit=True)


def raised(control: int, phase: str, error: BaseException) -> None:
    """Tell of an exception that ended the program, as far as it lets itself be told; never returns."""
    try:
        text = described(error)
    except BaseException:
        text = f"{type(error).__name__} (it cannot be printed)"
    flush()
    frames.write(control, RAISED, f"{phase}\n{text}".encode("utf-8", "backslashreplace"))
    _exit(1)


def described(error: BaseException) -> str:
    """An exception with its traceback, as far as the program's own code goes."""
    frames_told = frames_of(error) + str(error.__dict__.get(WHERE, ""))
    head = "Traceback (most recent call last):\n" if frames_told else ""
    return (head + frames_told + "".join(format_exception_only(type(error), error)))[-TOLD:]


def frames_of(error: BaseException) -> str:
    """The innermost frames of the program's own code, and of what it called."""
    theirs = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith("inside/")]
    return "".join(format_list(theirs[-DEPTH:]))


def flush() -> None:
    """Write out what the program printed."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # type: ignore[union-attr]  # a program may have put anything there
        except BaseException:
            pass
