"""What holds for any input at all, looked for among many.

The profile ``ci`` is bounded and always draws the same examples. ``MCODE_TEST_EXAMPLES=10000`` draws so many others.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import itertools
import json
import os
import resource
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from pytest_mcode import _files, _source, _url, _wire, options, spelling
from pytest_mcode._errors import DataError, SandboxError, UsageError
from pytest_mcode._option import Option
from pytest_mcode._types import Attempt, Completion, Execution, Message, Mode, Sample, TaskResult, Verdict
from pytest_mcode.dataset import Source, open_rows
from pytest_mcode.extract import extract
from pytest_mcode.sandboxes import jobs
from pytest_mcode.sandboxes.inside import errors, frames, plain
from pytest_mcode.sandboxes.jobs import Job
from pytest_mcode.sandboxes.sending import Place
from pytest_mcode.sandboxes.worker import ANSWER, Worker
from pytest_mcode.settings import OPTIONS, Settings
from pytest_mcode.store import Run, Store
from tests.drawn import SECONDS, completions, executions

settings.register_profile(
    "ci",
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
CI = settings.get_profile("ci")
WANTED = int(os.environ.get("MCODE_TEST_EXAMPLES", "0"))
BOUNDED = settings(CI, max_examples=WANTED, derandomize=False) if WANTED else CI

#: Bytes of memory that what reads foreign bytes may add, as in a sandbox.
MEMORY = 1 << 30

#: Any text, lone surrogates included.
TEXTS = st.text(st.characters(codec=None), max_size=60)
#: Text that a database can hold as it is.
STORABLE = st.text(st.characters(codec="utf-8"), max_size=60)
NAMES = st.from_regex(r"[a-z]\w{0,8}", fullmatch=True, alphabet=st.characters(codec="ascii"))

#: Pieces of which models' answers are made, whole and broken.
PIECES = st.sampled_from(
    [
        *("```", "```python", "~~~", "````", "``", "\n", "\n\n", "\r\n", "\r", " ", "    ", "\t", "- ", "1. ", "> "),
        *("<think>", "</think>", "[THINK]", "<answer>", "<|im_end|>", "<|im_start|>assistant", "</s>", "<s>"),
        *(
            "def f(x):",
            "def f(",
            "    return x",
            "class A:",
            "@cache",
            "async def f():",
            "import re",
            "from a import b",
        ),
        *("from __future__ import annotations", "if True:", "else:", "try:", "pass", "...", "x = 1", "f(1)", "# f"),
        *(
            '"""',
            "'''",
            '"',
            "'",
            "\\",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ":",
            ";",
            ">>> ",
            "... ",
            "{",
            '{"code": "',
            '"}',
        ),
        *(
            "Here is the code:",
            "Output: 5",
            "assert f(1) == 1",
            "\x00",
            "\x0c",
            "\x1b[31m",
            "\ufeff",
            "\u200b",
            "\ud800",
        ),
    ]
)
ANSWERS = st.lists(PIECES | TEXTS, max_size=30).map("".join) | st.lists(PIECES, max_size=30).map("\n".join)

#: Statements that are code and nothing else, whatever stands around them.
STATEMENTS = st.sampled_from(
    [
        "def f(x):\n    return x",
        "def g():\n    '''What.\n\n    ```\n    no fence\n    ```\n    '''\n    return f(1)",
        "class A:\n    def f(self):\n        pass",
        "import re",
        "import os.path as p",
        "from math import *",
        "X = [1,\n     2]",
        "X: int = 3",
        "S = '<think> </think>'",
        "for i in range(3):\n    X = i",
        "async def h():\n    return 1",
        "@staticmethod\ndef k():\n    return 2",
    ]
)


class TestExtraction:
    """From what a model wrote to a solution."""

    @BOUNDED
    @given(ANSWERS, st.sampled_from(["f", "", "A", "(", "ü"]), ANSWERS | st.just(""))
    def test_any_answer_gives_none_or_lines_of_code(self, text: str, entry_point: str, preamble: str) -> None:
        found = extract(text, entry_point=entry_point, preamble=preamble)
        assert found is None or (found.strip() and found.endswith("\n") and not found.endswith("\n\n"))
        assert found is None or "\r" not in found
        assert extract(text, entry_point=entry_point, preamble=preamble) == found

    @BOUNDED
    @given(ANSWERS)
    def test_the_longest_code_in_any_text_parses_or_is_empty(self, text: str) -> None:
        found = _source.longest(text)
        assert found in text
        if found:
            assert ast.parse(found).body

    @BOUNDED
    @given(st.lists(STATEMENTS, min_size=1, max_size=5))
    def test_plain_code_comes_back_as_it_is_and_so_does_what_came_back(self, statements: list[str]) -> None:
        code = "\n\n\n".join(["def f(x):\n    return x + 1", *statements]) + "\n"
        once = extract(code, entry_point="f", preamble="")
        assert once == code
        assert extract(once, entry_point="f", preamble="") == once

    @BOUNDED
    @given(st.lists(STATEMENTS, max_size=4), st.sampled_from(["", "python", "py", "Python3"]), st.booleans())
    def test_code_in_a_fence_with_prose_around_it_parses(self, more: list[str], label: str, closed: bool) -> None:
        code = "\n\n".join(["def f(x):\n    return x + 1", *(s for s in more if "```" not in s)])
        answer = f"Sure! Here it is:\n\n```{label}\n{code}\n" + ("```\nIt runs in linear time." if closed else "")
        found = extract(answer, entry_point="f", preamble="")
        assert found is not None
        assert ast.dump(ast.parse(found)) == ast.dump(ast.parse(code))


@pytest.fixture(scope="class")
def little_memory() -> Iterator[None]:
    """As in a sandbox: what foreign bytes ask for beyond it is refused."""
    about = Path("/proc/self/status")
    if not about.exists():
        pytest.skip("platform: memory can be limited on Linux alone")
    (used,) = (int(line.split()[1]) << 10 for line in about.read_text().splitlines() if line.startswith("VmData"))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Bytes in pieces, cut at these places."""
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(at)]


class TestFrames:
    """Frames of bytes, as they come through pipes and sockets."""

    @BOUNDED
    @given(st.lists(st.binary(max_size=50), max_size=6), st.lists(st.integers(0, 400), max_size=12))
    def test_frames_are_whole_however_the_bytes_are_cut(self, bodies: list[bytes], places: list[int]) -> None:
        inbox, heard = frames.Inbox(50), []
        for piece in cut(b"".join(map(frames.pack, bodies)), places):
            heard += inbox.feed(piece)
        assert heard == bodies

    @BOUNDED
    @given(st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=6), st.integers(0, 40))
    def test_any_bytes_give_short_frames_or_a_refusal(self, data: bytes, places: list[int], limit: int) -> None:
        inbox, heard = frames.Inbox(limit), []
        with contextlib.suppress(frames.BrokenFrameError):
            for piece in cut(data, places):
                heard += inbox.feed(piece)
        assert all(len(body) <= limit for body in heard)
        assert data.startswith(b"".join(map(frames.pack, heard)))

    @BOUNDED
    @given(st.binary(max_size=20), st.integers(51, 2**32 - 1), st.binary(max_size=20))
    def test_a_frame_over_the_limit_is_refused_by_its_head_alone(self, first: bytes, size: int, rest: bytes) -> None:
        inbox = frames.Inbox(50)
        assert inbox.feed(frames.pack(first)) == [first]
        with pytest.raises(frames.BrokenFrameError):
            inbox.feed(frames.head(size) + rest)

    @BOUNDED
    @given(st.lists(st.binary(max_size=50), min_size=1, max_size=4), st.integers(1, 50))
    def test_a_frame_that_is_cut_off_never_comes(self, bodies: list[bytes], missing: int) -> None:
        data = b"".join(map(frames.pack, bodies))
        last = frames.HEAD + len(bodies[-1])
        assert frames.Inbox(50).feed(data[: len(data) - min(missing, last)]) == bodies[:-1]

    @BOUNDED
    @given(st.binary(max_size=100))
    def test_a_frame_read_from_a_pipe_is_whole_or_none(self, data: bytes) -> None:
        reading, writing = os.pipe()
        os.write(writing, data)
        os.close(writing)
        found = frames.read(reading)
        os.close(reading)
        assert found is None or data.startswith(frames.pack(found))


NUMBERS: st.SearchStrategy[Any] = st.integers() | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False)
TIMES: st.SearchStrategy[Any] = st.dates() | st.datetimes() | st.times() | st.timedeltas()
BYTES: st.SearchStrategy[Any] = st.binary(max_size=20) | st.binary(max_size=20).map(bytearray)
FRACTIONS: st.SearchStrategy[Any] = st.fractions() | st.decimals(allow_nan=False)
SCALARS: st.SearchStrategy[Any] = st.none() | st.booleans() | NUMBERS | FRACTIONS | TEXTS | TIMES | BYTES
KEYS: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | TEXTS | st.tuples(st.integers(), TEXTS)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
    ),
    max_leaves=12,
)

#: Values of every kind that can be described as an exception, and those that cannot.
DESCRIPTIONS = st.tuples(TEXTS, st.lists(TEXTS | st.sampled_from(dir(builtins))).map(tuple), PLAIN, TEXTS) | PLAIN

#: Opcodes that call, import or copy, so that damaged pickles do more than end early.
OPCODES = st.sampled_from(
    [b"c", b"R", b"\x93", b"\x81", b"b", b"i", b"o", b"r", b"j", b"\x82", b"P", b"Q", b"\x95", b"."]
)


MODULES = st.sampled_from(["os", "builtins", "subprocess", "pickle", "sys", "ctypes"]) | NAMES


@pytest.mark.usefixtures("little_memory")
class TestPlainData:
    """What crosses between a solution's process and the tests'."""

    @BOUNDED
    @given(PLAIN, st.binary(max_size=5))
    def test_a_plain_value_arrives_as_it_was_sent(self, value: Any, kind: bytes) -> None:
        sent = bytes(plain.dump(value, kind=kind))
        (arrived,) = plain.load(sent, len(kind))
        assert arrived == value
        assert type(arrived) is type(value)

    @BOUNDED
    @given(st.binary(max_size=200))
    @example(b"\x80\x04Nr\xff\xff\xff\x7f.")
    @example(b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.")
    @example(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.")
    @example(b"(" * 10_000)
    @example(b"\x80\x04" + b"]" * 10_000 + b"a" * 9_999 + b".")
    def test_any_bytes_are_values_or_are_refused(self, data: bytes) -> None:
        with contextlib.suppress(plain.NotPlainError):
            plain.load(data)

    @BOUNDED
    @given(PLAIN, st.data())
    def test_a_damaged_message_is_a_value_or_is_refused(self, value: Any, data: st.DataObject) -> None:
        message = bytes(plain.dump(value))
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(message)))
            piece = data.draw(OPCODES | st.binary(max_size=3))
            message = message[:at] + piece + message[at + data.draw(st.integers(0, 3)) :]
        with contextlib.suppress(plain.NotPlainError):
            plain.load(message)

    @BOUNDED
    @given(module=MODULES, name=NAMES, old=st.booleans())
    @example(module="os", name="system", old=True)
    @example(module="builtins", name="eval", old=False)
    @example(module="builtins", name="__import__", old=False)
    @example(module="builtins", name="open", old=True)
    def test_nothing_but_the_known_types_is_ever_called(
        self, *, module: str, name: str, old: bool, tmp_path: Path
    ) -> None:
        assume((module, name) not in plain.KNOWN)
        trace = tmp_path / "trace"
        called = f"open({str(trace)!r}, 'w')" if name in ("eval", "exec") else f"touch {trace}"
        argument = b"X" + len(called).to_bytes(4, "little") + called.encode()
        asked = f"c{module}\n{name}\n".encode() if old else b"X" + _short(module) + b"X" + _short(name) + b"\x93"
        with pytest.raises(plain.NotPlainError):
            plain.load(b"\x80\x04" + asked + argument + b"\x85R.")
        assert not trace.exists()

    @BOUNDED
    @given(DESCRIPTIONS)
    def test_any_description_is_an_exception_or_none(self, description: Any) -> None:
        found = errors.rebuilt(description)
        assert found is None or isinstance(found, BaseException)


def _short(text: str) -> bytes:
    return len(text).to_bytes(4, "little") + text.encode()


class Said:
    """A link to something that says these bytes, whatever it is told, and then ends."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [*pieces]
        self.killed = False

    def send(self, data: bytes) -> None:
        pass

    def receive(self, seconds: float) -> bytes:  # noqa: ARG002 - a link's signature
        return self._pieces.pop(0) if self._pieces else b""

    def allow(self, memory: int) -> None:
        pass

    def last_words(self) -> str:
        return ""

    def kill(self) -> None:
        self.killed = True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
HELLO = frames.pack_json({"pid": 1, "python": "3.12.0", "interfaces": []})
PLACE = Place(alone=False)
JOB = Job(Mode.TWO_PHASE, 1.0, b"")
ANSWERED = {
    "end": "passed",
    "phase": "done",
    "exit_code": 0,
    "seconds": 0.5,
    "out_of_memory": False,
    "streams": [[0, 0], [0, 0], [0, 0]],
}
#: What a supervisor answers, each part of it perhaps something else.
FORMED = st.fixed_dictionaries(
    {},
    optional={
        "end": st.sampled_from(["passed", "timeout", "output", "unfit"]) | JSON,
        "phase": st.sampled_from(["solution", "tests", "done"]) | JSON,
        "exit_code": st.none() | st.integers(-64, 255) | JSON,
        "seconds": st.floats(0, 100) | JSON,
        "out_of_memory": st.booleans() | JSON,
        "streams": st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=6) | JSON,
    },
)


class TestSupervisorsAnswer:
    """What comes from a sandbox, in which a program may have taken the supervisor's place."""

    @BOUNDED
    @given(st.lists(st.binary(max_size=60), max_size=6))
    def test_any_bytes_instead_of_a_greeting_are_a_sandbox_that_did_not_start(self, pieces: list[bytes]) -> None:
        link = Said(*filter(None, pieces))
        with contextlib.suppress(SandboxError):
            Worker(lambda: link, PLACE)
            return
        assert link.killed

    @BOUNDED
    @given(st.lists(st.binary(max_size=60), max_size=6))
    def test_any_bytes_instead_of_an_answer_are_a_sandbox_that_died(self, pieces: list[bytes]) -> None:
        worker = Worker(lambda: Said(HELLO, *filter(None, pieces)), PLACE)
        with contextlib.suppress(SandboxError):
            worker.run(JOB)

    @BOUNDED
    @given(JSON | FORMED, st.binary(max_size=30))
    @example(
        {"end": "passed", "phase": "done", "exit_code": 0, "seconds": "1", "out_of_memory": False, "streams": [[0, 0]]},
        b"",
    )
    @example(
        {"end": "passed", "phase": "done", "exit_code": 1e9, "seconds": 1, "out_of_memory": False, "streams": []}, b""
    )
    @example({**ANSWERED, "seconds": "1"}, b"")
    @example({**ANSWERED, "seconds": float("nan")}, b"")
    @example({**ANSWERED, "exit_code": 1e9}, b"")
    @example({**ANSWERED, "exit_code": 2**70}, b"")
    @example({**ANSWERED, "streams": []}, b"")
    @example({**ANSWERED, "streams": [[0, -1]]}, b"")
    def test_any_json_instead_of_an_answer_is_an_execution_or_is_refused(self, told: Any, written: bytes) -> None:
        try:
            found = jobs.seen(json.dumps(told).encode(), written, Mode.ISOLATED)
        except ValueError:
            return
        result = TaskResult("t", (Sample(0, 0, (Attempt(0, Verdict.FAILED, execution=found),)),), found.seconds)
        assert _wire.load(_wire.dump(result)) == result
        assert type(found.stdout) is type(found.stderr) is type(found.phase) is str
        assert type(found.seconds) in (int, float)
        assert found.exit_code is None or (type(found.exit_code) is int and abs(found.exit_code) < 2**63)

    @BOUNDED
    @given(st.binary(max_size=80))
    @example(b"[" * 100_000)
    def test_any_bytes_instead_of_an_answer_are_refused(self, told: bytes) -> None:
        with contextlib.suppress(ValueError):
            jobs.seen(told, b"", Mode.ISOLATED)

    @BOUNDED
    @given(st.integers(ANSWER + 1, 2**32 - 1), st.binary(max_size=60))
    def test_an_answer_that_is_too_long_is_a_sandbox_that_died(self, size: int, rest: bytes) -> None:
        worker = Worker(lambda: Said(HELLO, frames.head(size) + rest), PLACE)
        with pytest.raises(SandboxError, match="died while a program ran"):
            worker.run(JOB)


COMPLETIONS = completions(STORABLE, st.integers(0, 2**53))
EXECUTIONS = executions(STORABLE)


@st.composite
def results(draw: st.DrawFn, ids: st.SearchStrategy[str] = STORABLE) -> TaskResult:
    """Any result, its samples and attempts numbered as they are made."""
    samples = []
    for index in range(draw(st.integers(0, 2))):
        parts = st.tuples(
            st.sampled_from(Verdict), st.none() | COMPLETIONS, st.none() | STORABLE, st.none() | EXECUTIONS, STORABLE
        )
        drawn = enumerate(draw(st.lists(parts, min_size=1, max_size=2)))
        attempts = tuple(Attempt(number, *each) for number, each in drawn)
        samples.append(Sample(index, draw(st.integers(0, 2**31)), attempts))
    return TaskResult(draw(ids), tuple(samples), draw(SECONDS), draw(STORABLE))


RUN = Run(
    *("r", "b", "m", "ollama", {"samples": 1, "debug-iters": 0, "all-samples": False}, "0" * 12, "f" * 64, 1),
    started_at="2025-01-01T00:00:00.000+00:00",
    finished_at=None,
    versions={},
)
READ = {
    "results": "status, solved_sample, solved_attempt, seconds, error",
    "samples": "sample, seed, status",
    "attempts": "sample, attempt, verdict, completion, thinking, solution, stdout, stderr, exit_code, "
    "generation_seconds, generation_tries, execution_seconds, execution_mode, first_execution_seconds, "
    "prompt_tokens, completion_tokens, finish_reason, error, prompt",
}


def read_back(path: str, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        order = {"results": "1", "samples": "sample", "attempts": "sample, attempt"}[table]
        return connection.execute(f"SELECT {READ[table]} FROM {table} ORDER BY {order}").fetchall()


def of_attempt(sample: Sample, attempt: Attempt) -> tuple[Any, ...]:
    c, e = attempt.completion, attempt.execution
    turns = c and json.dumps([{"role": turn.role, "content": turn.content} for turn in c.prompt])
    return (
        *(sample.index, attempt.index, attempt.verdict, c and c.text, c and c.thinking, attempt.solution),
        *(e and e.stdout, e and e.stderr, e and e.exit_code, c and c.seconds, c and c.tries),
        *(e and e.seconds, e and e.mode, e and e.first_seconds),
        *(c and c.prompt_tokens, c and c.completion_tokens, c and c.finish_reason, attempt.error, turns),
    )


@pytest.fixture(scope="class")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(str(tmp_path_factory.mktemp("properties") / "r.db"))
    store.begin(RUN)
    yield store
    store.close()


def emptied(store: Store) -> Store:
    with closing(sqlite3.connect(store.path)) as connection:
        for table in READ:
            connection.execute(f"DELETE FROM {table}")
        connection.commit()
    return store


class TestStore:
    """Whatever was found is recorded as it was."""

    @BOUNDED
    @given(result=results())
    def test_any_result_is_read_back_value_for_value(self, database: Store, result: TaskResult) -> None:
        emptied(database).put("r", result)
        (row,) = read_back(database.path, "results")
        solved = result.solved_by or (None, None)
        assert row == (result.status, *solved, result.seconds, result.error)
        assert read_back(database.path, "samples") == [(s.index, s.seed, s.status) for s in result.samples]
        expected = [of_attempt(sample, attempt) for sample in result.samples for attempt in sample.attempts]
        assert read_back(database.path, "attempts") == expected

    @BOUNDED
    @given(result=results())
    def test_any_task_id_is_listed_as_it_is(self, database: Store, result: TaskResult) -> None:
        emptied(database).put("r", result)
        listed = database.tasks()["r"]
        assert [*listed.task_id] == [result.task_id]
        assert dict(listed.faults) == ({result.task_id: result.error} if result.status == "error" else {})

    @BOUNDED
    @given(text=TEXTS)
    def test_any_text_in_any_field_is_stored(self, database: Store, text: str) -> None:
        completion = Completion(text, text, (Message(text, text),), finish_reason=text)
        execution = Execution(passed=False, phase="tests", stdout=text, stderr=text)
        attempt = Attempt(0, Verdict.ERROR, completion, text, execution, text)
        emptied(database).put("r", TaskResult(text, (Sample(0, 0, (attempt,)),), 0.0, text))
        shown = text.encode("utf-8", "backslashreplace").decode()
        (row,) = read_back(database.path, "attempts")
        assert row[3:8] == (shown,) * 5
        assert row[-3:-1] == (shown, shown)


class TestWire:
    """From an xdist worker to its controller."""

    @BOUNDED
    @given(results(TEXTS))
    def test_any_result_arrives_as_it_was_sent_in_plain_ascii(self, result: TaskResult) -> None:
        sent = _wire.dump(result)
        assert sent.isascii()
        assert _wire.load(sent) == result


#: What is nearly a value: numbers of all sizes and spellings, names with a letter too many.
NEARLY = (
    st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(["1_0", "٣", "0x10", "1e400", "-0", "+5", "9" * 5000])
)
NEARLY |= st.sampled_from(["dockerr", "OLLAMA", "true", "Yes", ",", "a,,b", " ", "\x00", "../..", "a" * 101, "--", "="])


class TestOptions:
    """Every option, given any text."""

    @settings(BOUNDED, max_examples=20 * CI.max_examples)
    @given(st.sampled_from(OPTIONS), NEARLY | TEXTS)
    def test_any_text_is_a_value_or_gets_one_sentence(self, opt: Option, text: str) -> None:
        told, value = "", None
        try:
            value = options.read(opt, text, opt.flag)
        except UsageError as error:
            told = str(error)
        assert json.dumps(value)
        assert not told or (told.startswith(f"{opt.flag} is {text!r}, but must be ") and told.endswith("."))

    @BOUNDED
    @given(st.lists(st.tuples(st.sampled_from(OPTIONS), NEARLY), max_size=6))
    def test_any_values_together_are_a_configuration_or_get_one_sentence(self, given: list[tuple[Option, str]]) -> None:
        values: dict[str, Any] = {"model": "m", "bench": ("smoke",)}
        for opt, text in given:
            with contextlib.suppress(UsageError):
                values[opt.dest.removeprefix("mcode_")] = options.read(opt, text, opt.flag)
        with contextlib.suppress(UsageError):
            found = options.checked(Settings(**values))
            assert json.loads(json.dumps(found.stored)) == found.stored
            assert len(found.hashed) == 12

    @BOUNDED
    @given(st.lists(TEXTS | st.sampled_from([opt.flag for opt in OPTIONS]).flatmap(lambda f: TEXTS.map(f.__add__))))
    def test_any_word_is_let_through_or_is_no_option(self, words: list[str]) -> None:
        with contextlib.suppress(UsageError):
            spelling.require_known(words)

    @BOUNDED
    @given(TEXTS)
    def test_no_message_moves_a_terminal(self, text: str) -> None:
        shown = spelling.plain(text)
        assert not any((ord(letter) < 32 and letter not in "\t\n") or 126 < ord(letter) < 160 for letter in shown)


SECRETS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12).map("S3CRET".__add__)
HOSTS = st.sampled_from(["gpu", "gpu:8000", "127.0.0.1:11434", "[::1]:80", "a.example", ""])
PATHS = st.sampled_from(["", "/", "/v1", "/models/name@revision", "/v1/"])


class TestAddresses:
    """Addresses of servers, right and mistyped."""

    @BOUNDED
    @given(TEXTS)
    def test_any_text_is_an_address_or_gets_one_sentence(self, text: str) -> None:
        assert len(_url.without_credentials(text)) <= len(text)
        for read in (_url.ollama, _url.with_scheme):
            with contextlib.suppress(UsageError):
                assert urlsplit(read(text)).scheme in ("http", "https")

    @BOUNDED
    @given(
        st.sampled_from(["http://", "https://", "", "//", "http:/", "http:", " http://", "postgresql+x://"]),
        SECRETS,
        HOSTS,
        PATHS,
    )
    def test_no_password_is_shown_however_the_address_is_mistyped(
        self, scheme: str, secret: str, host: str, path: str
    ) -> None:
        for login in (f"me:{secret}", f"{secret}:", f":{secret}", f"me:a/{secret}", f"me:{secret}@b", f"me:a@{secret}"):
            assert secret not in _url.without_credentials(f"{scheme}{login}@{host}{path}"), (scheme, login)

    @BOUNDED
    @given(st.sampled_from(["http://", "https://"]), TEXTS, st.sampled_from(["gpu:8000", "a.example"]), PATHS)
    def test_a_quoted_login_is_taken_off_and_nothing_else(self, scheme: str, text: str, host: str, path: str) -> None:
        login = quote(text, safe="", errors="backslashreplace")
        assert _url.without_credentials(f"{scheme}me:{login}@{host}{path}") == f"{scheme}{host}{path}"
        assert _url.without_credentials(f"{scheme}{host}{path}") == f"{scheme}{host}{path}"

    @BOUNDED
    @given(st.sampled_from(["", "http://", "https://"]), NAMES, st.none() | st.integers(1, 65535), PATHS)
    def test_an_ollama_address_is_a_fixed_point(self, scheme: str, host: str, port: int | None, path: str) -> None:
        found = _url.ollama(f"{scheme}{host}{'' if port is None else f':{port}'}{path}")
        assert _url.ollama(found) == found


ROWS = st.lists(st.dictionaries(st.sampled_from(["task_id", "text", "more"]), JSON, max_size=3) | JSON, max_size=4)
SOURCE = Source(hub="somebody/rows", columns={"task_id": str, "text": str})


class TestDataFiles:
    """Whatever stands in a file of rows."""

    @BOUNDED
    @given(body=st.binary(max_size=200), name=st.sampled_from(["a.json", "a.jsonl.gz", "a.parquet"]))
    def test_any_bytes_are_rows_or_get_one_sentence(self, body: bytes, name: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(body)
        with contextlib.suppress(DataError):
            assert all(isinstance(row, dict) for row in _files.read_rows(tmp_path / name))

    @BOUNDED
    @given(rows=ROWS)
    def test_any_json_is_tasks_or_gets_one_sentence(self, rows: list[Any], tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text(json.dumps(rows))
        with contextlib.suppress(DataError):
            found = open_rows(SOURCE, split=None, data=str(path), cache=tmp_path / "cache")
            kept = [{name: row[name] for name in ("task_id", "text")} for row in rows]
            assert [found[at] for at in range(len(found.ids))] == kept

    @BOUNDED
    @given(about=JSON | st.dictionaries(st.sampled_from(["ids", "offsets", "fingerprint", "origin"]), JSON))
    @example(about={"ids": 1, "offsets": [], "fingerprint": "", "origin": ""})
    def test_any_damage_to_the_cache_is_mended(self, about: Any, tmp_path: Path) -> None:
        data, cache = tmp_path / "a.jsonl", tmp_path / "cache"
        if not data.exists():
            data.write_text('{"task_id": "a", "text": "x"}\n')
        open_rows(SOURCE, split=None, data=str(data), cache=cache)
        (index,) = (cache / "datasets").glob("*.json")
        (file,) = (cache / "datasets").glob("*.jsonl")
        if isinstance(about, dict):
            about = {**about, "size": file.stat().st_size}
        index.write_text(json.dumps(about))
        assert open_rows(SOURCE, split=None, data=str(data), cache=cache)[0] == {"task_id": "a", "text": "x"}
