"""``mcode doctor`` as its user types it: all checks of a configuration, what failed among them, and what to do."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pytest_mcode.cli import main
from tests.standin import Fault, Model, Page, Reply, StandIn, fixed, status
from tests.standin.tls import no_certificates
from tests.terminal import shown

ROOT = Path(__file__).parents[1]
MCODE = Path(sys.executable).with_name("mcode")
MODEL = "granite3.3:8b"
ADD = "```python\ndef add(a: int, b: int) -> int:\n    return a + b\n```"
CHECKS = ["server", "model", "context", "answer", "sandbox", "database", "disk", "temp", "clock"]
Doctor = Callable[..., Result]


@pytest.fixture(autouse=True, scope="module")
def _no_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with no_certificates(tmp_path_factory.mktemp("certificates")):
        yield


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Doctor:
    """Runs the command in an empty directory, with programs executed on this machine."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if re.match("MCODE_|OLLAMA_|OPENAI_", name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MCODE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MCODE_SANDBOX", "process")
    return lambda *words: CliRunner().invoke(main, ["doctor", *words], prog_name="mcode")


def asked(server: StandIn, *words: str) -> list[str]:
    return ["--model", MODEL, "--base-url", server.url, *words]


def findings(result: Result) -> dict[str, dict[str, Any]]:
    """What ``--json`` printed, by check."""
    return {one["check"]: one for one in json.loads(result.stdout)["checks"]}


class TestAWholeConfiguration:
    """What there is to see where nothing is missing."""

    def test_every_check_is_a_row_and_the_status_is_0(self, doctor: Doctor, tmp_path: Path) -> None:
        with StandIn(fixed(ADD)) as server:
            result = doctor("smoke", *asked(server))
        assert result.exit_code == 0, result.output
        rows = re.findall(r"^(ok|warn|fail) +(\w+)", result.output, re.MULTILINE)
        assert [name for _, name in rows] == [*CHECKS[:5], "smoke", *CHECKS[5:]]
        assert "fail" not in {level for level, _ in rows}
        assert f"ollama 0.12.6 at {server.url}" in result.output
        assert "granite3.3:8b, granite, 8.2B, Q4_K_M, digest " in result.output
        assert "20 tasks: tasks listed in the test module" in result.output
        assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []

    def test_the_table_fits_80_columns(self, doctor: Doctor) -> None:
        with StandIn(fixed(ADD), models=(Model(MODEL, context=2048),)) as server:
            result = doctor("smoke", *asked(server, "--db", "/nowhere/" + "very-long-" * 12 + "/r.db"))
        assert max(map(len, result.output.splitlines())) <= 80

    def test_json_has_the_same_for_scripts(self, doctor: Doctor) -> None:
        with StandIn(fixed(ADD)) as server:
            result = doctor(*asked(server, "--json"))
        document = json.loads(result.stdout)
        assert document["ok"] is True
        assert [one["check"] for one in document["checks"]] == CHECKS
        assert set(document["checks"][0]) == {"check", "status", "found", "next_step"}

    def test_the_reference_solutions_need_no_server(self, doctor: Doctor) -> None:
        result = doctor("--model", "reference", "--json")
        assert result.exit_code == 0
        assert findings(result)["server"]["found"] == "none is asked"
        assert findings(result)["answer"]["status"] == "ok"

    def test_options_come_from_the_environment_too(self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MCODE_MODEL", "reference")
        monkeypatch.setenv("MCODE_BENCH", "smoke")
        assert "smoke" in findings(doctor("--json"))

    def test_the_canary_is_asked_as_a_run_would(self, doctor: Doctor) -> None:
        with StandIn(fixed(ADD)) as server:
            doctor(*asked(server, "--context", "4096", "--seed", "7", "--temperature", "0.3"))
        (request,) = server.log.requests
        assert (request.options.num_ctx, request.options.seed, request.options.temperature) == (4096, 7, 0.3)
        assert "def add(a: int, b: int) -> int:" in request.text


class TestFaults:
    """After one that fails the others are looked at; the status is 1, and a row says what to do."""

    def test_what_needs_a_dead_server_is_left_out_and_all_else_is_looked_at(self, doctor: Doctor) -> None:
        result = doctor("--model", MODEL, "--base-url", "http://127.0.0.1:1")
        assert result.exit_code == 1
        rows = re.findall(r"^(ok|warn|fail) +(\w+)", result.output, re.MULTILINE)
        assert [name for _, name in rows] == ["server", "sandbox", "database", "disk", "temp", "clock"]
        assert rows[0] == ("fail", "server")
        assert "Start Ollama ('ollama serve')" in result.output
        assert result.output.splitlines()[-1].endswith("; not looked at: model, context, answer")

    def test_an_address_that_is_none_stops_no_other_check(self, doctor: Doctor) -> None:
        result = doctor("--model", MODEL, "--base-url", "ftp://127.0.0.1:1", "--json")
        assert result.exit_code == 1
        assert findings(result)["server"]["status"] == "fail"
        assert list(findings(result))[-1] == "clock"

    def test_a_model_that_is_not_there_is_not_asked(self, doctor: Doctor) -> None:
        with StandIn(fixed(ADD), models=("granite3.3:2b",), library=(MODEL,)) as server:
            result = doctor(*asked(server, "--json"))
        assert result.exit_code == 1
        found = findings(result)
        assert [name for name, one in found.items() if one["status"] == "fail"] == ["model"]
        assert "(did you mean 'granite3.3:2b'?)" in found["model"]["found"]
        assert found["model"]["next_step"].endswith("'ollama pull granite3.3:8b' fetches it, and so does --pull.")
        assert (server.log.pulls, server.log.requests) == ([], [])

    def test_a_missing_engine_database_and_data_set_are_all_told_at_once(
        self, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        (tmp_path / "text.db").write_text("this is no database, whatever it is called")
        words = ("humaneval", "--data", "none.jsonl", "--sandbox", "docker", "--db", "text.db", "--json")
        result = doctor("--model", "reference", *words)
        assert result.exit_code == 1
        found = findings(result)
        assert [name for name, one in found.items() if one["status"] == "fail"] == ["sandbox", "humaneval", "database"]
        assert found["sandbox"]["next_step"].startswith("Start Docker, or use --sandbox=process")
        assert "none.jsonl" in found["humaneval"]["found"]
        assert found["database"]["next_step"] == "Name another file with --db."

    def test_a_directory_in_which_no_database_can_be_made_is_told(self, doctor: Doctor, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        result = doctor("--model", "reference", "--db", "file/results.db", "--json")
        assert result.exit_code == 1
        assert findings(result)["database"]["found"].startswith("The results database file/results.db cannot be made")

    @pytest.mark.parametrize(
        ("reply", "level", "sentence"),
        [
            pytest.param(Reply(fault=Fault.LOAD), "fail", "incomplete (finish reason load)", id="loading"),
            pytest.param(Reply("def", finish="length"), "warn", "limit of new tokens", id="cut"),
            pytest.param(status(400, "no such option"), "fail", "no such option", id="error"),
            pytest.param(Reply("", completion_tokens=3), "fail", "It answered with nothing.", id="empty"),
            pytest.param("", "fail", "nothing was generated", id="silent"),
            pytest.param("I cannot help with that.", "warn", "'I cannot help with that.'", id="refusal"),
            pytest.param("```python\nprint(1)\n```", "warn", "does not have the function", id="other code"),
        ],
    )
    def test_what_kind_of_answer_comes_is_told_apart(
        self, doctor: Doctor, reply: Any, level: str, sentence: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pytest_mcode.solvers.PAUSE", 0.01)
        with StandIn(fixed(reply)) as server:
            result = doctor(*asked(server, "--json"))
        answer = findings(result)["answer"]
        assert answer["status"] == level
        assert sentence in answer["found"]
        assert result.exit_code == (1 if level == "fail" else 0)


class TestUsage:
    """What cannot be meant is refused before anything is looked at."""

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["smoke"], "No model was named: add --model=NAME, or --model=reference to try the harness."),
            (["smok", "--model", "m"], "There is no benchmark 'smok' (did you mean 'smoke'?); there are humaneval, "),
            (["--model", "m", "--samples", "no"], "--samples is 'no', but must be a whole number of at least 1"),
            (["--model", "m", "--shard-count=2"], "--shard-count=2 needs --shard-index: which one is this?"),
            (["--modle", "m"], "No such option"),
        ],
        ids=" ".join,
    )
    def test_a_wrong_word_gets_one_sentence_and_status_4(self, doctor: Doctor, words: list[str], sentence: str) -> None:
        result = doctor(*words)
        assert result.exit_code == 4
        assert result.stdout == ""
        assert result.stderr.startswith(f"ERROR: {sentence}")
        assert result.stderr.count("\n") == 1

    def test_its_help_lists_the_options_of_bench_in_80_columns(self, doctor: Doctor) -> None:
        result = doctor("--help")
        assert result.exit_code == 0
        assert result.output.startswith("Usage: mcode doctor [OPTIONS] [BENCHMARK]...\n")
        assert re.search(r"^  --gen-timeout SECONDS +seconds for one generation", result.output, re.MULTILINE)
        assert max(map(len, result.output.splitlines())) <= 80


def test_a_terminal_and_a_pipe_show_the_same_table(tmp_path: Path) -> None:
    environment = {**os.environ, "MCODE_CACHE_DIR": str(tmp_path / "cache"), "NO_COLOR": "1"}
    command: list[str | Path] = [MCODE, "doctor", "--model", "reference", "--sandbox", "process"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    seen = shown(command, columns=80, place=tmp_path, environment=environment)
    table = [line.rstrip() for line in done.stdout.splitlines() if "clock" not in line and "GB free" not in line]
    assert table == [line for line in seen.lines if "clock" not in line and "GB free" not in line]


def test_a_download_has_the_terminal_for_itself(tmp_path: Path) -> None:
    with StandIn(fixed(ADD), models=(), library=(MODEL,)) as server:
        command: list[str | Path] = [MCODE, "doctor", *asked(server, "--pull", "--sandbox", "process")]
        seen = shown(command, columns=80, place=tmp_path, environment=dict(os.environ))
    assert seen.status == 0
    assert server.log.pulls == [MODEL]
    assert f"pulling {MODEL}" in seen.raw
    assert seen.lines[0].split() == ["check", "found,", "and", "what", "to", "do", "next"]


def sentences() -> Iterator[str]:
    """Every text of the package, with … for what is filled in."""
    for path in sorted((ROOT / "pytest_mcode").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_what_the_page_on_faults_quotes_is_what_is_said() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    said = list(sentences())
    assert len(quoted) >= 10
    assert [quote for quote in quoted if not any(quote in sentence for sentence in said)] == []


def test_a_proxy_in_front_of_the_server_is_one_sentence(doctor: Doctor) -> None:
    page = Page("<html><body>Please log in</body></html>")
    with StandIn(fixed(ADD), pages={"/api/version": page, "/api/tags": page}) as server:
        result = doctor(*asked(server, "--json"))
    assert findings(result)["server"]["found"].endswith(
        "did not answer in JSON but with a web page: a proxy or another program answers there."
    )
    assert findings(result)["server"]["next_step"] == (
        "Start Ollama ('ollama serve'), or name its address in OLLAMA_HOST."
    )
