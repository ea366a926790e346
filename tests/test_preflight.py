"""What is known before anything is spent: of servers and their models, downloads, disks and clocks."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode import preflight
from pytest_mcode._errors import ModelError, UsageError
from pytest_mcode.preflight import Status
from pytest_mcode.settings import Settings
from pytest_mcode.solvers import canary, servers
from pytest_mcode.store import Store
from tests.standin import Fault, Model, Page, Reply, StandIn, faulty, fixed
from tests.standin.tls import no_certificates
from tests.terminal import shown

MCODE = Path(sys.executable).with_name("mcode")
MODEL = "granite3.3:8b"
NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="module")
def _no_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with no_certificates(tmp_path_factory.mktemp("certificates")):
        yield


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of a user: no settings of this session's."""
    kept = {name: value for name, value in os.environ.items() if not re.match("MCODE_|PYTEST|COLUMNS$|CI$", name)}
    return {**kept, "MCODE_CACHE_DIR": str(tmp_path / "cache")}


def settings(server: StandIn, backend: str = "ollama", **more: Any) -> Settings:
    url = server.url if backend == "ollama" else server.openai_url
    return Settings(**{"model": MODEL, "backend": backend, "base_url": url, **more})


def vllm(**more: Any) -> Mapping[str, Page]:
    """What vLLM has."""
    listed = {"id": MODEL, "object": "model", "owned_by": "vllm", "max_model_len": 8192, **more}
    return {"/v1/models": Page({"object": "list", "data": [listed]}), "/version": Page({"version": "0.11.0"})}


# --- what is stored of a model


def test_ollama_tells_what_the_model_is() -> None:
    model = Model(MODEL, digest="ab" * 32, family="qwen3", quantization="Q8_0", context=40_960)
    with StandIn(fixed(""), models=(model,)) as server:
        assert servers.check(settings(server)) == {
            "ollama": "0.12.6",
            "model_digest": "ab" * 32,
            "quantization": "Q8_0",
            "parameter_size": "8.2B",
            "family": "qwen3",
            "context_length": "40960",
        }


def test_an_ollama_that_cannot_show_a_model_is_no_obstacle() -> None:
    with StandIn(fixed(""), pages={"/api/show": Page({"error": "broken"}, status=500)}) as server:
        told = servers.check(settings(server))
    assert "context_length" not in told
    assert told["quantization"] == "Q4_K_M"


def test_vllm_tells_what_it_serves_without_anybodys_directories() -> None:
    with StandIn(fixed(""), pages=vllm(root="/home/jane/models/granite-8b", max_model_len=32768)) as server:
        assert servers.check(settings(server, "openai")) == {
            "server_version": "0.11.0",
            "owned_by": "vllm",
            "root": "granite-8b",
            "context_length": "32768",
        }


def test_an_address_loses_its_credentials() -> None:
    with StandIn(fixed(""), pages=vllm(root="s3://key:secret@bucket/granite?token=1")) as server:
        assert servers.check(settings(server, "openai"))["root"] == "s3://bucket/granite"


def test_a_name_on_the_hub_is_no_directory() -> None:
    with StandIn(fixed(""), pages=vllm(root="ibm-granite/granite-3.3-8b-instruct")) as server:
        assert servers.check(settings(server, "openai"))["root"] == "ibm-granite/granite-3.3-8b-instruct"


def test_llama_cpp_tells_its_build_and_its_file() -> None:
    props = {
        "total_slots": 4,
        "model_path": "/home/jane/granite-Q4_K_M.gguf",
        "build_info": "b6700-abc",
        "default_generation_settings": {"n_ctx": 32768},
    }
    listed = {"id": MODEL, "owned_by": "llamacpp", "meta": {"n_params": 8_170_848_256, "n_ctx_train": 131_072}}
    pages = {"/props": Page(props), "/v1/models": Page({"data": [listed]})}
    with StandIn(fixed(""), pages=pages) as server:
        assert servers.check(settings(server, "openai")) == {
            "server_version": "b6700-abc",
            "owned_by": "llamacpp",
            "model_file": "granite-Q4_K_M.gguf",
            "parameters": "8170848256",
            "context_length": "32768",
        }


def test_a_run_stores_what_the_server_told(environment: dict[str, str], tmp_path: Path) -> None:
    with StandIn(fixed("no code"), models=(Model(MODEL, context=8192),)) as server:
        words = ["bench", "smoke", "--limit=1", "--model", MODEL, "--base-url", server.url, "--sandbox", "process"]
        subprocess.run([MCODE, *words, "--db=r.db"], cwd=tmp_path, env=environment, capture_output=True, check=True)
    connection = sqlite3.connect(tmp_path / "r.db")
    stored = json.loads(connection.execute("select versions from runs").fetchone()[0])
    connection.close()
    assert (stored["ollama"], stored["family"], stored["context_length"]) == ("0.12.6", "granite", "8192")
    assert stored["context"].startswith("The model's context is 8192 tokens, and Ollama gives it no more than that")


# --- context


def test_less_context_than_asked_for_is_a_warning_with_both_numbers() -> None:
    with StandIn(fixed(""), models=(Model(MODEL, context=8192),)) as server:
        found = preflight.context(settings(server, context=16384))
    assert found.status is Status.WARN
    assert "8192 tokens" in found.found + found.next_step
    assert "--mcode-context=16384" in found.found + found.next_step


def test_a_server_that_does_not_tell_its_context_is_believed() -> None:
    with StandIn(fixed("")) as server:
        found = preflight.context(settings(server, "openai"))
    assert (found.status, found.found) == (Status.OK, "the server does not tell")


def test_a_server_with_less_context_than_asked_for_is_a_warning_too() -> None:
    with StandIn(fixed(""), pages=vllm(max_model_len=4096)) as server:
        found = preflight.context(settings(server, "openai"))
    assert found.status is Status.WARN
    assert found.next_step == "If a conversation may be longer, start the server with more."


@pytest.mark.parametrize(("tokens", "room"), [(8191, True), (8192, False)])
def test_a_limit_that_leaves_a_prompt_no_room_is_refused(tokens: int, room: bool) -> None:
    with StandIn(fixed(""), pages=vllm(max_model_len=8192)) as server:
        asked = settings(server, "openai", max_tokens=tokens)
        if room:
            assert servers.check(asked)["context_length"] == "8192"
            return
        with pytest.raises(UsageError, match=r"context of 8192 tokens has no room .* --mcode-max-tokens=8192: lower"):
            servers.check(asked)


# --- servers that are not ready, or not there


def test_a_server_that_loads_its_model_says_so() -> None:
    loading = Page({"error": {"message": "Loading model", "code": 503}}, status=503)
    with StandIn(fixed(""), pages={"/v1/models": loading}) as server, pytest.raises(ModelError) as caught:
        servers.check(settings(server, "openai"))
    assert str(caught.value).endswith(
        "/v1/models answered HTTP 503 (Service Unavailable): Loading model. It is starting, or busy: run again when it "
        "is ready."
    )


def test_a_key_that_a_server_sends_back_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-1234")
    page = Page({"error": "no quota left for sk-planted-1234"}, status=429)
    with StandIn(fixed(""), pages={"/v1/models": page}) as server, pytest.raises(ModelError) as caught:
        servers.check(settings(server, "openai"))
    assert "no quota left for ***" in str(caught.value)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("backend", ["ollama", "openai"])
def test_a_proxys_page_is_told_apart_from_the_server(backend: str) -> None:
    page = Page("<html><body>Bad gateway</body></html>", status=502)
    pages = {"/api/version": page, "/v1/models": page}
    with StandIn(fixed(""), pages=pages) as server, pytest.raises(ModelError) as caught:
        servers.check(settings(server, backend))
    assert "HTTP 502 (Bad Gateway) with a web page: a proxy answers there, and not the model server." in str(
        caught.value
    )


def test_a_model_that_is_still_loading_is_told_by_the_canary() -> None:
    with StandIn(fixed(faulty(Fault.LOAD))) as server:
        got = canary.ask(settings(server))
    assert got.kind is canary.Kind.ERROR
    assert got.next_step == "The model is still being loaded: ask again in a minute."


def test_a_model_that_never_answers_is_waited_for_no_longer_than_a_run_would() -> None:
    with StandIn(fixed(faulty(Fault.HANG))) as server:
        got = canary.ask(settings(server, gen_timeout=0.3))
    assert got.kind is canary.Kind.ERROR
    assert got.told == "The model did not answer a tiny prompt within 0.3 s."
    assert got.next_step.startswith("Raise --mcode-gen-timeout")


def test_a_model_may_take_longer_than_the_canary_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "PATIENCE", 0.3)
    with StandIn(fixed(faulty(Fault.HANG))) as server:
        got = canary.ask(settings(server))
    assert got.next_step == "If it was being loaded, ask again; else see the server's log."


def test_a_server_that_keeps_failing_is_not_asked_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "GRACE", 0.1)
    with StandIn(fixed(faulty(Fault.RESET))) as server:
        got = canary.ask(settings(server, gen_timeout=0.2))
    assert got.kind is canary.Kind.ERROR


def test_a_backend_that_is_not_installed_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mellea.backends.litellm", None)
    got = canary.ask(Settings(model=MODEL, backend="litellm"))
    assert got.kind is canary.Kind.ERROR
    assert got.told.startswith("The litellm backend is not installed")


def test_a_model_in_this_process_is_not_loaded_for_a_canary() -> None:
    assert preflight.answer(Settings(model=MODEL, backend="hf")).found.startswith("not asked for")


@pytest.mark.parametrize("backend", ["ollama", "openai"])
def test_a_model_that_writes_the_function_is_good(backend: str) -> None:
    with StandIn(fixed("def add(a, b):\n    return a + b")) as server:
        got = canary.ask(settings(server, backend))
    assert (got.kind, got.next_step) == (canary.Kind.GOOD, "")
    assert [request.api for request in server.log.requests] == [backend]


def test_a_model_that_thinks_to_its_limit_is_told_the_limit() -> None:
    with StandIn(fixed(Reply("", thinking="Well, let us see", finish="length"))) as server:
        got = canary.ask(settings(server))
    assert got.kind is canary.Kind.CUT
    assert got.next_step == "If it thinks before it answers, raise --mcode-max-tokens (now 768)."


# --- fetching a model


def bench(server: StandIn, *words: str) -> list[str | Path]:
    known = ["--model", MODEL, "--base-url", server.url, "--sandbox", "process", "--limit=1"]
    return [MCODE, "bench", "smoke", *known, *words]


def test_a_model_is_fetched_when_that_is_asked_for_with_a_line_each_tenth(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with StandIn(fixed("no code"), models=(), library=(Model(MODEL, size=4_900_000_000),)) as server:
        command = bench(server, "--pull")
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.log.pulls == [MODEL]
    assert done.stderr.splitlines() == [f"mcode: pulling {MODEL}: {tenth}0 % of 4.9 GB" for tenth in range(1, 11)]


def test_on_a_terminal_a_bar_shows_it(environment: dict[str, str], tmp_path: Path) -> None:
    with StandIn(fixed("no code"), models=(), library=(MODEL,)) as server:
        seen = shown(bench(server, "--pull"), columns=80, place=tmp_path, environment=environment)
    assert seen.status == 0
    assert f"pulling {MODEL}" in seen.raw
    assert f"pulling {MODEL}" not in seen.text


def test_what_is_there_is_not_fetched_again() -> None:
    with StandIn(fixed(""), library=(MODEL,)) as server:
        servers.check(settings(server, pull=True))
    assert server.log.pulls == []


def test_nothing_is_fetched_unasked(environment: dict[str, str], tmp_path: Path) -> None:
    with StandIn(fixed("no code"), models=(), library=(MODEL,)) as server:
        command = bench(server)
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert f"'ollama pull {MODEL}' fetches it, and so does --pull." in done.stderr
    assert server.log.pulls == []


@pytest.mark.parametrize(
    ("library", "cause"),
    [
        ((), "pull model manifest: file does not exist"),
        ((Model(MODEL, broken="no space left on device"),), "no space left on device"),
    ],
    ids=["unknown", "half way"],
)
def test_a_model_that_cannot_be_fetched_is_one_sentence(library: tuple[Model, ...], cause: str) -> None:
    with StandIn(fixed(""), models=(), library=library) as server, pytest.raises(UsageError) as caught:
        servers.check(settings(server, pull=True))
    assert str(caught.value).startswith(f"Ollama could not fetch the model '{MODEL}' ({cause}): ")


def test_a_download_that_breaks_off_is_told() -> None:
    pages = {"/api/pull": Page({"status": "pulling manifest"})}
    with StandIn(fixed(""), models=(), pages=pages) as server, pytest.raises(ModelError) as caught:
        servers.check(settings(server, pull=True))
    assert str(caught.value).endswith("before it was there: run again, and it goes on from there.")


# --- this machine


@pytest.mark.parametrize(
    ("least", "enough", "status"),
    [(0, 1, Status.OK), (0, 10**18, Status.WARN), (10**18, 10**18, Status.FAIL)],
)
def test_room_on_a_disk_is_enough_little_or_too_little(least: int, enough: int, status: Status, tmp_path: Path) -> None:
    found = preflight.room("disk", tmp_path / "not" / "yet", "go elsewhere", least=least, enough=enough)
    assert found.status is status
    assert found.found.endswith(f" free in {tmp_path}")
    assert found.next_step == ("" if status is Status.OK else "Make room for 1e+09 GB there, or go elsewhere.")


@pytest.mark.parametrize(
    ("here", "there", "status"),
    [
        (NOON, None, Status.OK),
        (NOON, NOON + timedelta(minutes=4), Status.OK),
        (NOON, NOON - timedelta(minutes=6), Status.WARN),
        (datetime(1970, 1, 1, tzinfo=UTC), None, Status.WARN),
    ],
    ids=["alone", "together", "apart", "long ago"],
)
def test_a_clock_is_held_against_the_servers_and_against_history(
    here: datetime, there: datetime | None, status: Status
) -> None:
    assert preflight.time_of(here, there).status is status


@pytest.mark.parametrize("backend", ["ollama", "openai"])
def test_the_servers_time_comes_with_its_answers(backend: str) -> None:
    late = {"Date": format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)}
    pages = {"/api/version": Page({}, headers=late), "/v1/models": Page({}, headers=late)}
    with StandIn(fixed(""), pages=pages) as server:
        found = preflight.clock(settings(server, backend))
    assert found.status is Status.WARN
    assert re.search(r"are 1(19|20) minutes apart", found.found)


def test_a_run_is_told_before_it_starts_that_its_model_has_less_context(tmp_path: Path) -> None:
    with StandIn(fixed(""), models=(Model(MODEL, context=2048),)) as server:
        asked = settings(server, db=str(tmp_path / "r.db"))
        told = preflight.before_a_run(asked, servers.check(asked))
    assert told[0].startswith("The model's context is 2048 tokens")


def test_what_is_to_be_mended_first_is_an_error_and_what_is_well_is_not_told() -> None:
    well = preflight.Finding("clock", Status.OK, "noon")
    low = preflight.Finding("disk", Status.WARN, "9 MB free in /x", "Make room there.")
    full = preflight.Finding("disk", Status.FAIL, "9 MB free in /x", "Make room there.")
    assert preflight.warnings([well, low]) == ("9 MB free in /x. Make room there.",)
    with pytest.raises(UsageError, match=r"^9 MB free in /x: make room there\.$"):
        preflight.warnings([low, full])


def test_a_database_that_is_there_is_written_to_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    Store(str(path)).close()
    before = path.read_bytes()
    found = preflight.database(Settings(model=MODEL, db=str(path)))
    assert (found.status, found.found) == (Status.OK, f"{path} can be written")
    assert path.read_bytes() == before


def test_a_sandbox_that_leaves_files_open_is_worth_knowing() -> None:
    assert preflight.sandbox("none: programs run as this user").status is Status.WARN
    assert preflight.sandbox("unshare: user, process, network and IPC namespaces, but files").status is Status.WARN
    assert preflight.sandbox("bubblewrap: user, process").status is Status.OK


@pytest.mark.parametrize(
    ("message", "found", "step"),
    [
        ("It is not there (a: b; c): start it, or go.", "It is not there (a: b; c).", "Start it, or go."),
        ("The 'x: y' of z's is gone. Do 'a'. Or b.", "The 'x: y' of z's is gone. Do 'a'.", "Or b."),
        ("It failed (ResponseError: no (status: 400)).", "It failed (ResponseError: no (status: 400)).", ""),
        ("http://a:1/v1 is not it; name another.", "http://a:1/v1 is not it.", "Name another."),
    ],
)
def test_a_message_is_divided_before_what_to_do_next(message: str, found: str, step: str) -> None:
    assert preflight.divided(message) == (found, step)
