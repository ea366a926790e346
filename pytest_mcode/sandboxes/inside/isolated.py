"""Judging with the solution in one process and the tests in another, so that neither can reach into the other.

The tests call the solution's functions through proxies; arguments and results cross as plain data over a socket. The
secret is only ever in the tests' process, where no line of the solution runs.
"""

from __future__ import annotations

from collections.abc import Callable
from os import _exit
from typing import Any

from . import errors, frames, plain, program

#: Both sides' file descriptor of the socket between them.
LINK = 4
#: First bytes of what the solution's side says: it has loaded, a call returned, a call raised.
READY, RETURNED, RAISED, UNFIT = b"R", b"r", b"e", b"u"
#: What the tests' side says of an argument that is not plain: the task cannot be judged this way.
ARGUMENT = b"U"


class SolutionEndedError(BaseException):
    """The solution's process ended while the tests called it. No test's ``except Exception`` may take it."""


def solve(control: int, solution: str) -> None:
    """Execute the solution and answer calls until the tests are over; never returns."""
    namespace = program.module()
    try:
        program.execute(solution, "<solution>", namespace)
    except BaseException as error:
        program.raised(control, "solution", error)
    frames.write(control, program.LOADED)
    frames.write(LINK, READY)
    answer, hear, say, leave = _answer, frames.read, frames.write, _exit
    while True:
        asked = hear(LINK)
        if asked is None:
            leave(0)
        say(LINK, answer(namespace, asked))


def _answer(namespace: dict[str, Any], asked: bytes) -> bytes | memoryview:
    """Call a function and tell what came of it, and what became of its arguments."""
    name, args, kwargs = plain.load(asked)[0]
    data: bytes | memoryview
    try:
        result = namespace[name](*args, **kwargs)
    except BaseException as error:
        data = _raised(error, args, kwargs)
    else:
        try:
            data = plain.dump(result, (args, kwargs), kind=RETURNED)
        except plain.NotPlainError as error:
            data = UNFIT + str(error).encode("utf-8", "backslashreplace")
    program.flush()
    return data


def _raised(error: BaseException, args: Any, kwargs: Any) -> memoryview:
    """Tell of an exception; without its arguments where these are not plain."""
    where = program.frames_of(error)
    name, bases, values, text = errors.told(error)
    try:
        return plain.dump(((name, bases, values, text), where), (args, kwargs), kind=RAISED)
    except plain.NotPlainError:
        return plain.dump(((name, bases, (), text), where), (args, kwargs), kind=RAISED)


def test(control: int, prelude: str, calls: list[str], tests: str) -> None:
    """Run the tests against proxies of the solution's functions, then send the secret back; never returns."""
    namespace = program.module()
    try:
        program.execute(prelude, "<prelude>", namespace)
        namespace.update({name: _proxy(control, name) for name in calls})
        run = program.compiled(tests, "<tests>")
        if frames.read(LINK) != READY:
            _exit(1)  # it did not load, and has said so itself
        exec(run, namespace)
    except BaseException as error:
        program.raised(control, "tests", error)
    program.flush()
    frames.write(control, program.ENDED, frames.read(control) or b"")
    _exit(0)


def _proxy(control: int, name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            asked = plain.dump((name, args, kwargs))
        except plain.NotPlainError:
            frames.write(control, ARGUMENT)
            _exit(1)
        return _told(args, kwargs, _ask(asked))

    call.__name__ = call.__qualname__ = name
    return call


def _ask(asked: memoryview) -> bytes:
    try:
        frames.write(LINK, asked)
        answer = frames.read(LINK)
    except OSError:
        answer = None
    if answer is None:
        raise SolutionEndedError("the solution ended its process")
    return answer


def _told(args: tuple[Any, ...], kwargs: dict[str, Any], answer: bytes) -> Any:
    """What a call returned, or raise what it raised."""
    kind = answer[:1]
    if kind not in (RETURNED, RAISED):
        raise plain.NotPlainError(answer[1:].decode("utf-8", "replace") or "an answer that is none")
    told, *after = plain.load(answer, start=1)
    for arguments in after:
        plain.put_back(args, kwargs, arguments)
    if kind == RETURNED:
        return told
    raise _rebuilt(told)


def _rebuilt(told: Any) -> BaseException:
    """The exception that a call raised."""
    description, where = told if type(told) is tuple and len(told) == len(("what", "where")) else (None, "")
    error = errors.rebuilt(description)
    if error is None or type(where) is not str:
        return SolutionEndedError("the solution raised what is no exception")
    if isinstance(error, StopIteration):  # it would end a loop in the tests as if all were done
        error = RuntimeError("the solution raised StopIteration")
    error.__dict__[program.WHERE] = where
    return error
