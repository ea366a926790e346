"""What nobody should give a run: it gets one sentence and begins nothing, or it is one task's error and no more."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ET
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from pytest_mcode.store import Store
from tests.standin import Reply, Request, StandIn, faulty, fixed, status
from tests.standin.script import Answer, Fault
from tests.test_store import OLD

#: Red in a terminal, in two spellings, back to the line's beginning, and what text is hardly ever made of.
ACTING = "\x1b[31m\x9b1mRED\r\x07\x00\ud83d\u202e"
#: What reached a terminal raw would begin with one of these.
RAW = ("\x1b", "\x9b", "\r", "\x07", "\x00", "\u202e")

IDS = [
    *("a/b", "a b", "[x]", "x]", "a::b", "new\nline", "new\\nline", "ü\U0001f600", "'\"", "100%", "%s%d{}", "", "-x"),
    *("--mcode-db=z.db", "../../up", "~", ACTING, "\x1b]0;title\x07", "nul\x00", "\ud800", "9" * 5000, "x" * 10_000),
]
#: A function that says what a terminal would obey, and how one of its ends does too.
SAYS = f"def f():\n    print({ACTING!a}.encode('utf-8', 'replace').decode())\n    "
RAISES = f"raise ValueError({ACTING!a})"
#: A task of every id: `solved` prints what a terminal would obey, `unsolved` raises it too, `lost` has no reference.
ODD = f"""
from pytest_mcode import Mcode, Task, benchmark

IDS = {IDS!a}

def task(name: str, reference: str) -> Task:
    return Task(name, "def f() -> int: ...", "assert f() == 1", entry_point="f", reference=reference)

SAYS = {SAYS!a}

@benchmark("solved", tasks=[task(name, SAYS + "return 1") for name in IDS])
def test_solved(task: Task, mcode: Mcode) -> None:
    mcode(task)

@benchmark("unsolved", tasks=[task(name, SAYS + {RAISES!a}) for name in IDS])
def test_unsolved(task: Task, mcode: Mcode) -> None:
    mcode(task)

@benchmark("lost", tasks=[task(name, "" if name else SAYS + "return 1") for name in IDS[10:]])
def test_lost(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""
ONE = """
from pytest_mcode import Mcode, Task, benchmark

TASK = Task("mine/0", "def f() -> int: ...", "assert f() == 1", entry_point="f", reference={reference!a})

@benchmark("one", tasks=[TASK])
def test_one(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""
ROWS = """
from pytest_mcode import Mcode, Source, Task, benchmark, rows

SOURCE = Source(hub="somebody/rows", columns={"task_id": str, "prompt": str, "tests": list})

def to_task(row):
    return Task(row["task_id"], row["prompt"], row["tests"][0], entry_point="f", reference="def f():\\n    return 1")

@benchmark("rows", tasks=rows(SOURCE, to_task))
def test_rows(task: Task, mcode: Mcode) -> None:
    mcode(task)
"""
HUGE = 50_000_000


@dataclass(frozen=True)
class Ended:
    """A command that has ended, and what it said."""

    status: int
    said: str


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run has its own directories."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("MCODE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


@pytest.fixture(autouse=True, scope="module")
def kept_modules() -> None:
    """Pytester forgets what a run imports; these have parts that cannot be imported twice in one process."""
    for name in ("scipy.stats", "sqlalchemy", "pytest_mcode.solvers.mellea", "pytest_mcode.report.terminal"):
        importlib.import_module(name)


def run(*arguments: str, server: StandIn | None = None) -> Ended:
    model = "reference" if server is None else "granite3.3:8b"
    command = [sys.executable, "-m", "pytest", f"--mcode-model={model}", "--mcode-sandbox=process", "--mcode-db=r.db"]
    environment = {**os.environ, "COLUMNS": "200"}
    if server is not None:
        environment |= {"OLLAMA_HOST": server.url, "OPENAI_BASE_URL": server.openai_url}
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, timeout=120, check=False)
    return Ended(done.returncode, (done.stdout + done.stderr).decode("utf-8", "surrogateescape"))


def read(query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect("r.db")) as connection:
        return connection.execute(query).fetchall()


def listed() -> Ended:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_mcode", "results", "--db", "r.db"], capture_output=True, check=False
    )
    return Ended(done.returncode, (done.stdout + done.stderr).decode("utf-8", "surrogateescape"))


def raw(ended: Ended) -> list[str]:
    return [letter for letter in RAW if letter in ended.said]


class TestTaskIds:
    """A task may be called anything."""

    @pytest.fixture(autouse=True)
    def odd(self) -> None:
        Path("test_odd.py").write_text(ODD)

    @pytest.mark.parametrize("more", [("-v",), ("-rA",), ("-n2", "-ra")], ids=" ".join)
    @pytest.mark.parametrize(("name", "status"), [("solved", 0), ("unsolved", 0), ("lost", 1)])
    def test_every_task_is_judged_and_recorded_under_its_id(
        self, name: str, status: int, more: tuple[str, ...]
    ) -> None:
        ended = run(f"--mcode-bench={name}", "test_odd.py", "--junitxml=out.xml", *more)
        assert ended.status == status, ended.said
        ids = IDS[10:] if name == "lost" else IDS
        expected = {i.encode("utf-8", "backslashreplace").decode() for i in ids}
        assert {task for (task,) in read("select task_id from results")} == expected
        came_to = {state for (state,) in read("select distinct status from results")}
        assert came_to == ({"solved", "error"} if name == "lost" else {name})
        assert raw(ended) == []
        assert len([*ET.parse("out.xml").iter("testcase")]) == len(ids)
        shown = listed()
        assert (shown.status, raw(shown)) == (0, [])

    def test_the_one_that_was_not_solved_is_run_again_alone(self) -> None:
        run("--mcode-bench=unsolved", "test_odd.py")
        again = run("--mcode-bench=unsolved", "test_odd.py", "--lf")
        assert again.status == 0
        assert read("select count(*) from results") == [(2 * len(IDS),)]
        assert not Path("z.db").exists()


class TestAnswers:
    """A model, or the server before it, may send anything."""

    @pytest.mark.parametrize(
        ("backend", "answer", "came_to"),
        [
            (
                "openai",
                fixed(f"{ACTING}\n```python\ndef f():\n    print({ACTING[:-2]!a})\n    return 1\n```\n{ACTING}"),
                "solved",
            ),
            (
                "ollama",
                fixed(f"```python\ndef f():\n    print({ACTING[:-2]!a})\n    raise ValueError({ACTING!a})\n```"),
                "unsolved",
            ),
            ("openai", fixed(f"```python\nX = '{ACTING}'\ndef f():\n    return 1\n```"), "unsolved"),
            ("ollama", fixed(Reply(ACTING, thinking=ACTING)), "unsolved"),
            ("openai", fixed(status(400, f"{ACTING} no")), "error"),
            ("ollama", fixed(status(500, f"{ACTING} no")), "error"),
            ("openai", fixed(faulty(Fault.MALFORMED)), "error"),
            ("ollama", fixed(Reply("x", prompt_tokens=10**30, completion_tokens=10**30)), "unsolved"),
            ("openai", fixed(Reply("x", prompt_tokens=-1, completion_tokens=-5)), "unsolved"),
        ],
        ids=["right", "raising", "in code", "no code", "400", "500", "malformed", "many tokens", "negative tokens"],
    )
    def test_nothing_of_it_moves_the_terminal_and_all_is_recorded(
        self, backend: str, answer: Answer, came_to: str
    ) -> None:
        Path("test_one.py").write_text(ONE.format(reference=""))
        with StandIn(answer) as server:
            how = (f"--mcode-backend={backend}", "--mcode-debug-iters=1", "--junitxml=out.xml", "-vrA")
            ended = run("--mcode-bench=one", "test_one.py", *how, server=server)
        assert ended.status == (1 if came_to == "error" else 0), ended.said
        assert read("select task_id, status from results") == [("mine/0", came_to)]
        assert raw(ended) == []
        assert "INTERNALERROR" not in ended.said
        ET.parse("out.xml")
        shown = listed()
        assert (shown.status, raw(shown)) == (0, [])

    def test_a_model_whose_name_moves_a_terminal_is_shown_without_doing_so(self) -> None:
        Path("test_one.py").write_text(ONE.format(reference="def f(): return 1"))
        named = "granite\x1b[31m\x07"
        with StandIn(fixed("no"), models=[named]) as server:
            ended = run("--mcode-bench=one", "test_one.py", f"--mcode-model={named}", server=server)
        assert ended.status == 0, ended.said
        assert "granite\\x1b[31m" in ended.said
        shown = listed()
        assert (raw(ended), raw(shown)) == ([], [])
        assert "granite\\x1b[31m" in shown.said

    def test_fifty_megabytes_are_an_answer_of_which_the_beginning_is_read(self) -> None:
        Path("test_one.py").write_text(ONE.format(reference=""))

        def answer(_: Request) -> Reply:
            return Reply("```python\ndef f():\n    return 1\n```\n" + "x" * HUGE, completion_tokens=1)

        with StandIn(answer) as server:
            ended = run("--mcode-bench=one", "test_one.py", server=server)
        assert ended.status == 0, ended.said
        assert read("select status, length(completion) > 50000000 from results, attempts") == [("solved", 1)]


class TestPrograms:
    """A program may write anything."""

    def test_fifty_megabytes_of_output_are_cut_or_stop_the_program(self) -> None:
        code = f"def f():\n    print('\\x1b[31m' * {HUGE // 5})\n    return 1"
        Path("test_one.py").write_text(ONE.format(reference=code))
        ended = run("--mcode-bench=one", "test_one.py", "-rA")
        assert ended.status == 0, ended.said
        ((length,),) = read("select length(stdout) from attempts")
        assert isinstance(length, int)
        assert 0 < length < 1_000_000
        assert raw(ended) == []


RIGHT = {
    "task_id": "HumanEval/0",
    "prompt": "def f():\n",
    "canonical_solution": "    return 1\n",
    "test": "def check(f):\n    assert f() == 1\n",
    "entry_point": "f",
}
LINES = b"".join(json.dumps({**RIGHT, "task_id": f"HumanEval/{n}"}).encode() + b"\n" for n in range(500))


def parquet(**columns: object) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return bytes(sink.getvalue())


def broken_text() -> bytes:
    """A Parquet file whose texts are no UTF-8."""
    offsets, content = pyarrow.py_buffer(b"\0\0\0\0\2\0\0\0"), pyarrow.py_buffer(b"\xff\xfe")
    texts = pyarrow.StringArray.from_buffers(1, offsets, content)
    return parquet(**{**{name: [value] for name, value in RIGHT.items()}, "prompt": texts})


def test_a_file_of_the_right_form_is_run() -> None:
    Path("rows.jsonl").write_bytes(LINES)
    ended = run("--mcode-bench=humaneval", "--mcode-data=rows.jsonl", "--mcode-limit=1")
    assert ended.status == 0, ended.said


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("a.jsonl.gz", gzip.compress(LINES)[:-40], "a.jsonl.gz cannot be read: "),
        ("a.jsonl.gz", gzip.compress(LINES)[:50] + b"\xff" * 9, "a.jsonl.gz cannot be read: "),
        ("a.jsonl", LINES + b'{"task_id": oops}\n' + LINES, "a.jsonl, line 501 is not JSON: "),
        ("a.jsonl", LINES[:-9], "a.jsonl, line 500 is not JSON: "),
        ("a.parquet", random.Random(1).randbytes(5000), "a.parquet cannot be read as Parquet: "),
        ("a.parquet", b"PAR1" + random.Random(1).randbytes(5000) + b"PAR1", "a.parquet cannot be read as Parquet: "),
        ("a.parquet", broken_text(), "a.parquet cannot be read as Parquet: "),
        ("a.parquet", parquet(task_id=["a"]), "a.parquet, row 1: there is no column 'prompt'"),
        ("a.jsonl", b"", "a.jsonl holds no task of split 'test': is it the right file?"),
        ("a.jsonl", b"\n \n", "a.jsonl holds no task of split 'test': is it the right file?"),
        ("a.json", json.dumps({"rows": [RIGHT]}).encode(), "a.json, row 1: there is no column 'task_id'"),
        ("a.json", json.dumps({"rows": [RIGHT]}, indent=1).encode(), "a.json, line 1 is not JSON: "),
        ("a.json", b"[1, 2]", "a.json, row 1: a row must be a JSON object, but is int."),
        ("a.json", b"null", "a.json, row 1: a row must be a JSON object, but is NoneType."),
        ("a.jsonl", b'{"task_id": "a"}', "a.jsonl, row 1: there is no column 'prompt'"),
        (
            "a.jsonl",
            json.dumps({**RIGHT, "test": None}).encode(),
            "column 'test' must be of type str, but is NoneType.",
        ),
        ("a.jsonl", 2 * json.dumps(RIGHT).encode().join([b"", b"\n"]), "Task id 'HumanEval/0' is there twice in "),
        ("a.jsonl", b"\x00" * 1000, "a.jsonl, line 1 is not JSON: "),
        ("a.jsonl", b"{" * HUGE, "a.jsonl, line 1 is not JSON: "),
    ],
)
def test_a_damaged_file_gets_one_sentence_and_nothing_is_begun(
    name: str, body: bytes, said: str, pytester: pytest.Pytester
) -> None:
    Path(name).write_bytes(body)
    result = pytester.runpytest_inprocess("--mcode-bench=humaneval", f"--mcode-data={name}", *REFERENCE)
    assert refused(result).partition(name)[1]
    assert said in refused(result)


@pytest.mark.parametrize("name", ["none.jsonl", ".", "/dev/null/x", "x" * 300])
def test_what_is_no_file_gets_one_sentence_and_nothing_is_begun(name: str, pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--mcode-bench=humaneval", f"--mcode-data={name}", *REFERENCE)
    assert refused(result).startswith(f"There is no data file {name}: ")


REFERENCE = ("--mcode-model=reference", "--mcode-sandbox=process", "--mcode-db=made/for/it.db")


def refused(result: pytest.RunResult) -> str:
    """The one sentence of a run that was not begun, and left nothing."""
    lines = [line for line in result.stdout.lines + result.stderr.lines if line.strip()]
    told = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    assert (result.ret, len(told)) == (4, 1), lines
    assert len(lines) == 1, lines
    assert told[0].endswith((".", "?")), told
    assert not Path("made").exists()
    return told[0]


def test_a_row_that_is_no_task_is_one_error_among_the_others() -> None:
    right = {"task_id": "a", "prompt": "p", "tests": ["assert f() == 1"]}
    odd = [[], [5], [None], ["assert 0"]]
    rows = [right, *({**right, "task_id": f"odd/{number}", "tests": tests} for number, tests in enumerate(odd))]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Path("test_rows.py").write_text(ROWS)
    ended = run("--mcode-bench=rows", "test_rows.py", "--mcode-data=rows.jsonl", "--junitxml=out.xml")
    assert ended.status == 1
    statuses: dict[object, object] = dict(read("select task_id, status from results"))  # type: ignore[arg-type] # pairs
    assert (statuses["a"], statuses["odd/0"], statuses["odd/3"]) == ("solved", "error", "unsolved")
    assert len(statuses) == 5
    assert [*ET.parse("out.xml").iter("error")]


def test_a_line_of_fifty_megabytes_is_a_task_like_others() -> None:
    right = {"task_id": "a", "prompt": "p", "tests": ["assert f() == 1"]}
    rows = [{**right, "prompt": "x" * HUGE}, {**right, "task_id": "b", "tests": ["assert f() == 1\n#" + "x" * HUGE]}]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Path("test_rows.py").write_text(ROWS)
    ended = run("--mcode-bench=rows", "test_rows.py", "--mcode-data=rows.jsonl")
    assert ended.status == 0, ended.said
    assert read("select task_id, status from results order by task_id") == [("a", "solved"), ("b", "solved")]


class TestDatabases:
    """A name where no results can be written."""

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"no database at all" * 100, "(file is not a database): name another file with --mcode-db."),
            (b"SQLite format 3\x00" + b"\xff" * 4096, "(file is not a database): name another file with --mcode-db."),
        ],
    )
    def test_no_database_gets_one_sentence_and_is_left_alone(
        self, content: bytes, said: str, pytester: pytest.Pytester
    ) -> None:
        Path("r.db").write_bytes(content)
        before = sorted(map(str, Path().iterdir()))
        result = pytester.runpytest_inprocess("--mcode-bench=smoke", *REFERENCE, "--mcode-db=r.db")
        assert refused(result).endswith(said)
        assert Path("r.db").read_bytes() == content
        assert sorted(map(str, Path().iterdir())) == before

    @pytest.mark.parametrize(
        "name", [".", "/", "file/r.db", "file/deeper/r.db", "/proc/none/r.db", "made/" + "x" * 300]
    )
    def test_a_place_that_is_no_file_gets_one_sentence(self, name: str, pytester: pytest.Pytester) -> None:
        Path("file").touch()
        if name.startswith("made"):
            Path("made").mkdir()
        result = pytester.runpytest_inprocess("--mcode-bench=smoke", *REFERENCE, f"--mcode-db={name}")
        if name.startswith("made"):
            Path("made").rmdir()
        assert refused(result).startswith(f"The results database {name} cannot be used (")

    def test_a_newer_one_is_refused_and_left_alone(self, pytester: pytest.Pytester) -> None:
        Store("r.db").close()
        with closing(sqlite3.connect("r.db")) as connection:
            connection.execute("UPDATE schema SET version = 99")
            connection.commit()
        before = Path("r.db").read_bytes()
        result = pytester.runpytest_inprocess("--mcode-bench=smoke", *REFERENCE, "--mcode-db=r.db")
        assert "was written by a newer mCode (schema 99, " in refused(result)
        assert Path("r.db").read_bytes() == before

    def test_one_of_the_first_version_is_brought_up_to_date_by_a_run(self) -> None:
        with closing(sqlite3.connect("r.db")) as connection:
            connection.executescript(OLD)
        Path("test_one.py").write_text(ONE.format(reference="def f(): return 1"))
        assert run("--mcode-bench=one", "test_one.py").status == 0
        assert read("select status, verdicts from results") == [("solved", "p")]
        assert listed().status == 0

    @pytest.mark.skipif(os.geteuid() == 0, reason="platform: root may write everywhere")
    def test_one_that_may_only_be_read_is_refused(self, pytester: pytest.Pytester) -> None:
        Store("r.db").close()
        Path("r.db").chmod(0o400)
        result = pytester.runpytest_inprocess("--mcode-bench=smoke", *REFERENCE, "--mcode-db=r.db")
        assert refused(result).startswith("The results database r.db cannot be used (attempt to write a readonly")


@pytest.mark.parametrize(
    "given",
    [
        *("--mcode-samples=0", "--mcode-samples=1.5", "--mcode-samples=", "--mcode-samples=99999999999999999999"),
        *("--mcode-samples=1e3", "--mcode-debug-iters=-1", "--mcode-debug-iters=none", "--mcode-limit=-5"),
        *("--mcode-timeout=0", "--mcode-timeout=-1", "--mcode-timeout=1e300", "--mcode-timeout=NaN"),
        *("--mcode-timeout=99999999", "--mcode-gen-timeout=1s", "--mcode-gen-timeout=1e18", "--mcode-temperature=-0.1"),
        *("--mcode-temperature=hot", "--mcode-top-p=1.1", "--mcode-seed=-1", "--mcode-max-tokens=x"),
        *("--mcode-context=-256", "--mcode-concurrency=0", "--mcode-sandboxes=0", "--mcode-shard-count=0"),
        *("--mcode-shard-index=0.5", "--mcode-shard-index=1", "--mcode-shard-count=2", "--mcode-sandbox=none"),
        *("--mcode-backend=\x1b[31m", "--mcode-recipe=", "--mcode-feedback=TESTS", "--mcode-model=", "--mcode-db="),
        *("--mcode-run-id=../x", "--mcode-run-id=\x1b[31m", "--mcode-data=", "--mcode-split=", "--mcode-image="),
        *("--mcode-base-url=", "--mcode-data=x.jsonl", "--mcode-split=test", "--mcode-bench=", "--mcode-bench=,,"),
        *("--mcode-bench=smoke/../x", "--mcode-bench=\x1b[31m", "--mcode-nothing", "--mcode-sample=2"),
    ],
)
def test_a_value_that_cannot_be_meant_gets_one_sentence_and_nothing_is_begun(
    given: str, pytester: pytest.Pytester
) -> None:
    result = pytester.runpytest_inprocess("--mcode-bench=smoke", *REFERENCE, given)
    assert not any(letter in refused(result) for letter in RAW)


@pytest.mark.parametrize("backend", ["ollama", "openai"])
@pytest.mark.parametrize(
    "address",
    [
        *("http://[gpu", "http://gpu:port", "http://gpu:99999", "ftp://gpu", "file:///etc/passwd", "http://gpu/a b"),
        *("http://gpu\r\nX: y", "http://:80:80", "http://\x1b[31m"),
    ],
)
def test_an_address_that_is_none_gets_one_sentence_and_nothing_is_begun(
    address: str, backend: str, pytester: pytest.Pytester
) -> None:
    how = (f"--mcode-backend={backend}", f"--mcode-base-url={address}", "--mcode-model=m")
    result = pytester.runpytest_inprocess("--mcode-bench=smoke", *REFERENCE, *how)
    assert "cannot be a model server's address: name it as http://HOST:PORT." in refused(result)
