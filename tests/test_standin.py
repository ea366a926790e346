"""The stand-in speaks Ollama's and OpenAI's protocols so that the real clients, and Mellea's backends, believe it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import ollama
import openai
import pytest

from pytest_mcode import options
from tests.standin import (
    Exchange,
    Fault,
    Model,
    Outcome,
    Reply,
    Request,
    StandIn,
    by_task,
    faulty,
    fixed,
    in_turn,
    standin_process,
    status,
)
from tests.standin.log import wait_until
from tests.standin.tls import no_certificates

MODEL = "granite3.3:8b"
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="module")
def _no_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with no_certificates(tmp_path_factory.mktemp("certificates")):
        yield


@asynccontextmanager
async def ollama_client(server: StandIn, timeout: float = 5.0) -> AsyncIterator[ollama.AsyncClient]:
    client = ollama.AsyncClient(server.url, timeout=timeout)
    try:
        yield client
    finally:
        await client.close()  # type: ignore[no-untyped-call] # it has no annotation


@asynccontextmanager
async def openai_client(server: StandIn, timeout: float = 5.0, key: str = "any") -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=server.openai_url, api_key=key, max_retries=0, timeout=timeout) as client:
        yield client


async def chat(server: StandIn, text: str = "hello", *, timeout: float = 5.0, **more: Any) -> ollama.ChatResponse:
    """One answer of Ollama's API."""
    async with ollama_client(server, timeout) as client:
        answer: ollama.ChatResponse = await client.chat(MODEL, [{"role": "user", "content": text}], **more)
        return answer


async def chat_stream(server: StandIn, *, timeout: float = 5.0) -> list[ollama.ChatResponse]:
    """All parts of one streamed answer of Ollama's API."""
    async with ollama_client(server, timeout) as client:
        parts = await client.chat(MODEL, [{"role": "user", "content": "hello"}], stream=True)
        return [part async for part in parts]


async def complete(server: StandIn, *, timeout: float = 5.0, model: str = MODEL, **more: Any) -> Any:
    """One answer of OpenAI's API."""
    async with openai_client(server, timeout) as client:
        return await client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hello"}], **more
        )


async def complete_stream(server: StandIn, *, timeout: float = 5.0) -> list[Any]:
    """All chunks of one streamed answer of OpenAI's API."""
    async with openai_client(server, timeout) as client:
        chunks = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "hello"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        return [chunk async for chunk in chunks]


def get(url: str) -> tuple[int, str]:
    """Status and text of a page."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


# --- Ollama's endpoints


def test_the_root_says_that_ollama_is_running() -> None:
    with StandIn(fixed("")) as server:
        assert get(f"{server.url}/") == (200, "Ollama is running")


def test_the_version_is_told() -> None:
    with StandIn(fixed("")) as server:
        assert json.loads(get(f"{server.url}/api/version")[1]) == {"version": "0.12.6"}


def test_an_unknown_page_is_404() -> None:
    with StandIn(fixed("")) as server:
        assert get(f"{server.url}/api/nothing")[0] == 404


def test_a_chat_answer_has_text_thinking_reason_and_counters() -> None:
    with StandIn(fixed(Reply("two words", thinking="let me see", seconds=0.05))) as server:
        answer = asyncio.run(chat(server, "what are three words"))
    assert (answer.model, answer.done, answer.done_reason) == (MODEL, True, "stop")
    assert (answer.message.role, answer.message.content, answer.message.thinking) == (
        "assistant",
        "two words",
        "let me see",
    )
    assert (answer.prompt_eval_count, answer.eval_count) == (4, 5)
    assert answer.total_duration is not None
    assert answer.total_duration >= 50_000_000
    assert answer.prompt_eval_duration == 5_000_000
    assert answer.eval_duration == 45_000_000
    assert answer.load_duration is not None
    assert answer.created_at is not None
    assert answer.created_at.endswith("Z")


def test_a_streamed_chat_ends_with_reason_and_counters() -> None:
    with StandIn(fixed(Reply("def f():\n    return 1", thinking="easy"))) as server:
        parts = asyncio.run(chat_stream(server))
    assert "".join(part.message.content or "" for part in parts) == "def f():\n    return 1"
    assert "".join(part.message.thinking or "" for part in parts) == "easy"
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert (parts[-1].done_reason, parts[-1].eval_count) == ("stop", 5)


def test_ollama_streams_unless_told_not_to() -> None:
    with StandIn(fixed("a b c")) as server:
        body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x"}]}).encode()
        with urllib.request.urlopen(f"{server.url}/api/chat", data=body, timeout=5) as reply:
            assert reply.headers["Content-Type"] == "application/x-ndjson"
            assert len(reply.read().splitlines()) == 4


def test_scripted_counts_and_reason_are_sent_as_they_are() -> None:
    with StandIn(fixed(Reply("cut", prompt_tokens=1000, completion_tokens=768, finish="length"))) as server:
        answer = asyncio.run(chat(server))
    assert (answer.prompt_eval_count, answer.eval_count, answer.done_reason) == (1000, 768, "length")


def test_a_reason_may_be_missing() -> None:
    with StandIn(fixed(Reply("x", finish=None))) as server:
        assert asyncio.run(chat(server)).done_reason is None
        assert asyncio.run(complete(server)).choices[0].finish_reason is None


def test_generate_answers_a_bare_prompt() -> None:
    async def both(server: StandIn) -> tuple[ollama.GenerateResponse, str]:
        async with ollama_client(server) as client:
            whole = await client.generate(MODEL, "continue this", system="be brief")
            parts = await client.generate(MODEL, "continue this", stream=True)
            return whole, "".join([part.response or "" async for part in parts])

    with StandIn(fixed(Reply("and so on", thinking="hm"))) as server:
        whole, streamed = asyncio.run(both(server))
    assert (whole.response, whole.thinking, whole.done_reason, whole.eval_count) == ("and so on", "hm", "stop", 4)
    assert streamed == "and so on"
    assert server.log.requests[0].messages == (("system", "be brief"), ("user", "continue this"))


def test_a_chat_without_messages_only_loads_the_model() -> None:
    async def load(server: StandIn) -> ollama.ChatResponse:
        async with ollama_client(server) as client:
            return await client.chat(MODEL)

    with StandIn(fixed("never said")) as server:
        answer = asyncio.run(load(server))
    assert (answer.done_reason, answer.message.content, answer.eval_count) == ("load", "", None)


def test_installed_models_are_listed_with_their_details() -> None:
    model = Model("qwen3", digest="ab" * 32, size=123, family="qwen3", parameter_size="1.7B", quantization="Q8_0")

    async def names(server: StandIn) -> ollama.ListResponse:
        async with ollama_client(server) as client:
            return await client.list()

    with StandIn(fixed(""), models=(MODEL, model)) as server:
        granite, qwen = asyncio.run(names(server)).models
    assert (granite.model, qwen.model) == (MODEL, "qwen3:latest")
    assert granite.digest is not None
    assert len(bytes.fromhex(granite.digest)) == 32
    assert (qwen.digest, qwen.size) == ("ab" * 32, 123)
    assert qwen.details is not None
    assert (qwen.details.family, qwen.details.parameter_size, qwen.details.quantization_level) == (
        "qwen3",
        "1.7B",
        "Q8_0",
    )


def test_show_tells_the_context_length() -> None:
    async def show(server: StandIn) -> ollama.ShowResponse:
        async with ollama_client(server) as client:
            return await client.show("phi4")

    with StandIn(fixed(""), models=(Model("phi4", family="phi3", context=16_384),)) as server:
        shown = asyncio.run(show(server))
    assert shown.modelinfo is not None
    assert shown.modelinfo["phi3.context_length"] == 16_384
    assert shown.capabilities == ["completion"]


def test_a_model_is_running_once_it_was_used() -> None:
    async def running(server: StandIn) -> list[str | None]:
        async with ollama_client(server) as client:
            return [model.model for model in (await client.ps()).models]

    with StandIn(fixed("")) as server:
        before = asyncio.run(running(server))
        asyncio.run(chat(server))
        assert (before, asyncio.run(running(server))) == ([], [MODEL])


def test_a_pull_tells_its_progress_installs_the_model_and_is_recorded() -> None:
    async def pull(server: StandIn) -> tuple[list[str | None], list[str | None]]:
        async with ollama_client(server) as client:
            steps = [step.status async for step in await client.pull("llama3.2", stream=True)]
            return steps, [model.model for model in (await client.list()).models]

    with StandIn(fixed(""), models=(), library=(Model("llama3.2", digest="c0" * 32),)) as server:
        steps, names = asyncio.run(pull(server))
    assert (steps[0], steps[1], steps[-1]) == ("pulling manifest", "pulling c0c0c0c0c0c0", "success")
    assert names == ["llama3.2:latest"]
    assert server.log.pulls == ["llama3.2"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_pull_of_what_does_not_exist_fails_as_ollamas_does(stream: bool) -> None:
    async def pull(server: StandIn) -> None:
        async with ollama_client(server) as client:
            steps = await client.pull("nothing", stream=stream)  # type: ignore[call-overload]
            async for _ in steps:
                pass

    with StandIn(fixed("")) as server, pytest.raises(ollama.ResponseError, match="file does not exist"):
        asyncio.run(pull(server))


# --- names and refusals


@pytest.mark.parametrize(
    ("asked", "found"),
    [("qwen3", True), ("qwen3:latest", True), ("qwen", False), ("granite3.3", False), ("granite3.3:8b", True)],
)
def test_names_resolve_as_ollamas_do(asked: str, found: bool) -> None:
    async def ask(server: StandIn) -> str:
        async with ollama_client(server) as client:
            try:
                return (await client.chat(asked, [{"role": "user", "content": "x"}])).message.content or ""
            except ollama.ResponseError as error:
                return f"{error.status_code} {error.error}"

    with StandIn(fixed("yes"), models=("granite3.3:8b", "qwen3")) as server:
        assert asyncio.run(ask(server)) == ("yes" if found else f"404 model '{asked}' not found")


def test_a_missing_model_is_404_in_openais_shape() -> None:
    with StandIn(fixed("")) as server, pytest.raises(openai.NotFoundError) as caught:
        asyncio.run(complete(server, model="gpt-9"))
    assert caught.value.body == {
        "message": "The model `gpt-9` does not exist.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }
    assert server.log.outcomes == [Outcome.REFUSED]


@pytest.mark.parametrize(
    ("body", "message"), [(b"{", "invalid JSON"), (b"[]", "invalid JSON"), (b"{}", "model is required")]
)
def test_a_request_that_cannot_be_read_is_400(body: bytes, message: str) -> None:
    with StandIn(fixed("")) as server, pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.url}/api/chat", data=body, timeout=5)
    with caught.value as error:
        assert error.code == 400
        assert message in json.loads(error.read())["error"]


def test_a_server_with_a_key_refuses_strangers() -> None:
    async def ask(server: StandIn, key: str) -> str:
        async with openai_client(server, key=key) as client:
            listed = [model.id async for model in client.models.list()]
            answer = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x"}])
            return f"{listed} {answer.choices[0].message.content}"

    with StandIn(fixed("yes"), key="secret") as server:
        assert asyncio.run(ask(server, "secret")) == f"['{MODEL}'] yes"
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            asyncio.run(ask(server, "guess"))
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            asyncio.run(complete(server))


# --- OpenAI's endpoints


def test_a_chat_completion_has_text_reasoning_reason_and_usage() -> None:
    with StandIn(fixed(Reply("two words", thinking="let me see"))) as server:
        answer = asyncio.run(complete(server))
    choice = answer.choices[0]
    assert (answer.object, answer.model) == ("chat.completion", MODEL)
    assert (choice.message.content, choice.message.reasoning_content) == ("two words", "let me see")
    assert choice.finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (1, 5, 6)


def test_a_streamed_chat_completion_ends_with_reason_usage_and_done() -> None:
    with StandIn(fixed(Reply("a b", thinking="hm", finish="length"))) as server:
        chunks = asyncio.run(complete_stream(server))
    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    assert "".join(delta.content or "" for delta in deltas) == "a b"
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "hm"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * 4 + ["length"]
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 3)


def test_completions_answer_a_bare_prompt() -> None:
    async def both(server: StandIn) -> tuple[str, str]:
        async with openai_client(server) as client:
            whole = await client.completions.create(model=MODEL, prompt="once")
            chunks = await client.completions.create(model=MODEL, prompt="once", stream=True)
            return whole.choices[0].text, "".join([chunk.choices[0].text async for chunk in chunks])

    with StandIn(fixed("upon a time")) as server:
        assert asyncio.run(both(server)) == ("upon a time", "upon a time")


def test_models_are_listed_and_retrieved() -> None:
    async def models(server: StandIn) -> tuple[list[str], str]:
        async with openai_client(server) as client:
            return [model.id async for model in client.models.list()], (await client.models.retrieve("b")).owned_by

    with StandIn(fixed(""), models=("a:1b", "b")) as server:
        assert asyncio.run(models(server)) == (["a:1b", "b:latest"], "library")


def test_a_completion_of_nothing_is_400() -> None:
    async def ask(server: StandIn) -> None:
        async with openai_client(server) as client:
            await client.chat.completions.create(model=MODEL, messages=[])

    with StandIn(fixed("")) as server, pytest.raises(openai.BadRequestError, match="too short"):
        asyncio.run(ask(server))


# --- scripts


def test_the_script_sees_what_was_asked_in_terms_of_both_apis() -> None:
    with StandIn(fixed("")) as server:
        sent = {"seed": 7, "temperature": 0.5, "num_predict": 64, "num_ctx": 4096, "top_p": 0.9, "stop": ["\n\n"]}
        asyncio.run(chat(server, "the prompt", options=sent))
        asyncio.run(complete(server, seed=7, temperature=0.5, max_tokens=64, top_p=0.9, stop="\n\n"))
    mine, theirs = server.log.requests
    assert (mine.api, mine.path, mine.model, mine.stream) == ("ollama", "/api/chat", MODEL, False)
    assert (theirs.api, theirs.path) == ("openai", "/v1/chat/completions")
    assert mine.messages == (("user", "the prompt"),)
    assert (mine.options.seed, mine.options.temperature, mine.options.max_tokens) == (7, 0.5, 64)
    assert (mine.options.num_ctx, mine.options.top_p, mine.options.stop) == (4096, 0.9, ("\n\n",))
    assert (theirs.options.seed, theirs.options.max_tokens, theirs.options.stop) == (7, 64, ("\n\n",))
    assert mine.headers["user-agent"].startswith("ollama-python/")
    assert mine.body["options"] == sent


def test_a_message_in_typed_parts_is_one_text() -> None:
    async def ask(server: StandIn) -> None:
        async with openai_client(server) as client:
            parts: Any = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
            await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])

    with StandIn(fixed("")) as server:
        asyncio.run(ask(server))
    assert server.log.requests[0].messages == (("user", "one two"),)


def test_a_script_by_task_answers_by_seed_and_attempt() -> None:
    script = by_task({"sum": ["first try", "second try"], "product": {0: ["seed nought"], 1: ["seed one"]}})

    async def ask(server: StandIn, seed: int, *turns: str) -> str | None:
        roles = ("user", "assistant", "user", "assistant", "user")
        messages = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False)]
        async with ollama_client(server) as client:
            return (await client.chat(MODEL, messages, options={"seed": seed})).message.content

    with StandIn(script) as server:
        assert asyncio.run(ask(server, 0, "write a sum")) == "first try"
        assert asyncio.run(ask(server, 0, "write a sum", "first try", "no")) == "second try"
        assert asyncio.run(ask(server, 0, "write a sum", "a", "no", "b", "no")) == "second try"
        assert asyncio.run(ask(server, 0, "write a product")) == "seed nought"
        assert asyncio.run(ask(server, 1, "write a product")) == "seed one"


def test_a_script_in_turn_answers_a_repeated_request_otherwise() -> None:
    with StandIn(in_turn("one", "two")) as server:
        said = [asyncio.run(chat(server, text)).message.content for text in ("a", "a", "b", "a")]
    assert said == ["one", "two", "one", "two"]
    assert [request.number for request in server.log.requests] == [1, 2, 1, 3]


def test_an_error_of_the_script_fails_the_test() -> None:
    def ask() -> None:
        refused = pytest.raises(ollama.ResponseError, match="the script raised LookupError")
        with StandIn(by_task({"sum": ["x"]})) as server, refused:
            asyncio.run(chat(server, "product"))

    with pytest.raises(LookupError, match="no rule for the prompt 'product'"):
        ask()


# --- faults


@pytest.mark.parametrize(
    ("reply", "mine", "theirs"),
    [
        (status(500), ollama.ResponseError, openai.InternalServerError),
        (status(400, "bad option"), ollama.ResponseError, openai.BadRequestError),
        (status(429), ollama.ResponseError, openai.RateLimitError),
        (faulty(Fault.RESET), httpx.ReadError, openai.APIConnectionError),
        (faulty(Fault.RESET_MIDWAY), httpx.ReadError, openai.APIConnectionError),
        (faulty(Fault.TRUNCATED), json.JSONDecodeError, json.JSONDecodeError),
        (faulty(Fault.MALFORMED), json.JSONDecodeError, json.JSONDecodeError),
        (faulty(Fault.HTML), ollama.ResponseError, openai.InternalServerError),
    ],
)
def test_a_fault_is_what_the_real_client_raises(reply: Reply, mine: type[Exception], theirs: type[Exception]) -> None:
    with StandIn(fixed(reply)) as server:
        with pytest.raises(mine):
            asyncio.run(chat(server))
        with pytest.raises(theirs):
            asyncio.run(complete(server))
    assert server.log.outcomes == [Outcome.FAULT, Outcome.FAULT]


def test_an_http_error_has_the_shape_of_its_api() -> None:
    async def raw(server: StandIn) -> list[tuple[int, Any]]:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
        async with httpx.AsyncClient(base_url=server.url) as client:
            replies = [await client.post(path, json=body) for path in ("/api/chat", "/v1/chat/completions")]
            return [(reply.status_code, reply.json()) for reply in replies]

    with StandIn(fixed(status(429, "slow down"))) as server:
        mine, theirs = asyncio.run(raw(server))
    assert mine == (429, {"error": "slow down"})
    error = {"message": "slow down", "type": "rate_limit_error", "param": None, "code": None}
    assert theirs == (429, {"error": error})


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.RESET_MIDWAY])
def test_a_reset_breaks_a_stream_off(fault: Fault) -> None:
    with StandIn(fixed(faulty(fault))) as server:
        with pytest.raises(httpx.ReadError):
            asyncio.run(chat_stream(server))
        with pytest.raises((openai.APIConnectionError, httpx.ReadError)):
            asyncio.run(complete_stream(server))


def test_a_truncated_stream_looks_like_a_whole_one_but_for_its_reason() -> None:
    with StandIn(fixed(Reply("one two three four", fault=Fault.TRUNCATED))) as server:
        parts = asyncio.run(chat_stream(server))
    assert [part.message.content for part in parts] == ["one ", "two "]
    assert [part.done_reason for part in parts] == [None, None]


def test_a_proxys_page_with_status_200_is_no_json_to_one_and_text_to_the_other() -> None:
    with StandIn(fixed(faulty(Fault.HTML, status=200))) as server:
        with pytest.raises(json.JSONDecodeError):
            asyncio.run(chat(server))
        assert "<h1>200 OK</h1>" in asyncio.run(complete(server))


def test_a_hanging_answer_ends_with_the_clients_patience() -> None:
    with StandIn(fixed(faulty(Fault.HANG))) as server:
        with pytest.raises(httpx.ReadTimeout):
            asyncio.run(chat(server, timeout=0.3))
        with pytest.raises(openai.APITimeoutError):
            asyncio.run(complete(server, timeout=0.3))
        assert server.log.settle().outcomes == [Outcome.CANCELLED, Outcome.CANCELLED]


def test_a_trickle_outlasts_a_timeout_of_single_reads() -> None:
    with StandIn(fixed(faulty(Fault.TRICKLE, seconds=0.6))) as server:
        started = time.perf_counter()
        answer = asyncio.run(chat(server, timeout=0.4))
        assert time.perf_counter() - started >= 0.6
    assert answer.message.content == "an answer that may not arrive"


def test_an_empty_answer_has_no_count_in_ollama_and_nought_in_openai() -> None:
    with StandIn(fixed(faulty(Fault.EMPTY))) as server:
        mine, theirs = asyncio.run(chat(server)), asyncio.run(complete(server))
    assert (mine.message.content, mine.done_reason, mine.eval_count) == ("", "stop", None)
    assert (theirs.choices[0].message.content, theirs.usage.completion_tokens) == ("", 0)


def test_a_load_answer_has_its_own_reason_and_no_counters() -> None:
    with StandIn(fixed(faulty(Fault.LOAD))) as server:
        mine, theirs = asyncio.run(chat(server)), asyncio.run(complete(server))
    assert (mine.message.content, mine.done_reason, mine.total_duration) == ("", "load", None)
    assert theirs.choices[0].finish_reason == "load"


# --- slots, queue, cancellation


async def crowd(server: StandIn, count: int, *, one_by_one: bool = False) -> list[Any]:
    """The answers, or exceptions, of so many requests at once; each arrives before the next is sent if wanted."""
    async with ollama_client(server) as client:
        tasks = []
        for number in range(1, count + 1):
            tasks.append(asyncio.ensure_future(client.chat(MODEL, [{"role": "user", "content": "x"}])))
            await arrived(server, number if one_by_one else 0)
        return await asyncio.gather(*tasks, return_exceptions=True)


async def arrived(server: StandIn, count: int) -> None:
    """Wait until so many requests have arrived."""
    await asyncio.to_thread(wait_until, lambda: len(server.log.exchanges) >= count)


def test_no_more_are_served_at_once_than_there_are_slots() -> None:
    with StandIn(fixed(Reply("x", seconds=0.2)), slots=2) as server:
        started = time.perf_counter()
        asyncio.run(crowd(server, 6))
        assert time.perf_counter() - started >= 0.6
    assert (server.log.peak_served, server.log.peak_in_flight) == (2, 6)


def test_who_waits_is_served_in_the_order_of_arrival() -> None:
    with StandIn(fixed(Reply("x", seconds=0.05)), slots=1) as server:
        asyncio.run(crowd(server, 5, one_by_one=True))
    starts = [exchange.started or 0.0 for exchange in server.log.exchanges]
    assert starts == sorted(starts)
    assert times_in_order(server.log.exchanges[-1])


def times_in_order(exchange: Exchange) -> bool:
    """Whether it arrived, started and finished one after the other."""
    assert exchange.started is not None
    assert exchange.finished is not None
    return exchange.arrived < exchange.started < exchange.finished


def test_a_full_queue_answers_503_as_ollamas_does() -> None:
    with StandIn(fixed(Reply("x", seconds=0.4)), slots=1, queue=1) as server:
        results = asyncio.run(crowd(server, 3, one_by_one=True))
    refused = results[2]
    assert isinstance(refused, ollama.ResponseError)
    assert refused.status_code == 503
    assert refused.error == "server busy, please try again.  maximum pending requests exceeded"
    assert server.log.outcomes == [Outcome.ANSWERED, Outcome.ANSWERED, Outcome.REFUSED]


@pytest.mark.parametrize("ask", [chat, chat_stream, complete, complete_stream])
def test_a_client_that_goes_frees_its_slot(ask: Callable[[StandIn], Coroutine[Any, Any, object]]) -> None:
    def script(request: Request) -> Reply:
        return Reply("x", seconds=30 if request.number == 1 else 0)

    async def leave(server: StandIn) -> None:
        task = asyncio.ensure_future(ask(server))
        await arrived(server, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with StandIn(script, slots=1) as server:
        asyncio.run(leave(server))
        asyncio.run(asyncio.wait_for(ask(server), 2))
        assert server.log.settle().outcomes == [Outcome.CANCELLED, Outcome.ANSWERED]


def test_a_client_that_goes_leaves_the_queue() -> None:
    async def leave(server: StandIn) -> list[Any]:
        first = asyncio.ensure_future(chat(server))
        await arrived(server, 1)
        second = asyncio.ensure_future(chat(server))
        await arrived(server, 2)
        second.cancel()
        await asyncio.to_thread(wait_until, lambda: server.log.outcomes[1] is not None)
        return list(await asyncio.gather(first, second, chat(server), return_exceptions=True))

    with StandIn(fixed(Reply("x", seconds=0.4)), slots=1, queue=1) as server:
        first, second, third = asyncio.run(leave(server))
    assert (first.message.content, third.message.content) == ("x", "x")
    assert isinstance(second, asyncio.CancelledError)
    assert server.log.outcomes == [Outcome.ANSWERED, Outcome.CANCELLED, Outcome.ANSWERED]
    assert server.log.exchanges[1].started is None


def test_it_stops_within_two_seconds_whatever_hangs() -> None:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x"}]}).encode()
    head = f"POST /api/chat HTTP/1.1\r\nHost: standin\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with StandIn(fixed(faulty(Fault.HANG))) as server, socket.create_connection(("127.0.0.1", server.port)) as held:
        held.sendall(head + body)
        wait_until(lambda: server.log.served == 1)
        started = time.perf_counter()
        server.stop()
        assert time.perf_counter() - started < 2.0
        assert server.log.outcomes == [Outcome.CANCELLED]


def test_connections_are_counted_until_they_are_closed() -> None:
    async def open_one(server: StandIn) -> int:
        async with ollama_client(server) as client:
            await client.list()
            return server.connections

    with StandIn(fixed("")) as server:
        assert asyncio.run(open_one(server)) == 1
        wait_until(lambda: server.connections == 0)


# --- in a process of its own

SCRIPT = """
from tests.standin import Reply
def answer(request):
    return Reply(f"attempt {request.attempt} with seed {request.options.seed}", seconds=0.3)
"""


def test_a_process_of_its_own_serves_a_file_and_tells_what_it_saw(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)

    async def ask(url: str) -> list[str | None]:
        client = ollama.AsyncClient(url)
        try:
            message = {"role": "user", "content": "x"}
            answers = [client.chat("phi4", [message], options={"seed": seed}) for seed in range(3)]
            return [answer.message.content for answer in await asyncio.gather(*answers)]
        finally:
            await client.close()  # type: ignore[no-untyped-call] # it has no annotation

    with standin_process(tmp_path / "script.py", "--model", "phi4", "--slots", "2") as served:
        assert asyncio.run(ask(served.url)) == [f"attempt 0 with seed {seed}" for seed in range(3)]
    assert served.summary == {
        "requests": 3,
        "outcomes": {"answered": 3},
        "peak_in_flight": 3,
        "peak_served": 2,
        "pulls": [],
    }


def test_a_process_ends_by_itself_when_its_time_is_over(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "tests.standin", "--script", str(tmp_path / "script.py"), "--seconds", "0.2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout.startswith("http://127.0.0.1:")


def test_a_process_whose_script_raised_fails(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("def answer(request): return 1 / 0")

    def ask() -> None:
        with standin_process(tmp_path / "script.py") as served:
            body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x"}]}).encode()
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"{served.url}/api/chat", data=body, timeout=5)
            caught.value.close()

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        ask()


# --- Mellea


@pytest.mark.parametrize("name", ["ollama", "openai"])
def test_melleas_own_backends_take_it_for_the_real_thing(name: str) -> None:
    options.quieten()
    import mellea.stdlib.components as parts
    import mellea.stdlib.functional as mfuncs
    from mellea import ChatContext, ModelOption
    from mellea.backends.ollama import OllamaModelBackend
    from mellea.backends.openai import OpenAIBackend
    from mellea.core import Backend

    async def ask(backend: Backend) -> tuple[Any, ...]:
        output, _ = await mfuncs.aact(
            parts.Message("user", "write f"),
            ChatContext(),
            backend,
            strategy=None,
            await_result=True,
            silence_context_type_warning=True,
            model_options={ModelOption.SEED: 5},
        )
        await backend.aclose()
        return output.value, output.thinking, output.generation.finish_reasons, output.generation.usage

    with StandIn(fixed(Reply("def f(): ...", thinking="easy", finish="length"))) as server:
        backend = (
            OllamaModelBackend(MODEL, base_url=server.url)
            if name == "ollama"
            else OpenAIBackend(MODEL, base_url=server.openai_url, api_key="any")
        )
        value, thinking, reasons, usage = asyncio.run(ask(backend))
    assert (value, thinking, reasons) == ("def f(): ...", "easy", ["length"])
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (2, 4)
    assert server.log.requests[0].options.seed == 5
    assert server.log.pulls == []


def test_melleas_ollama_backend_pulls_what_is_not_there_and_the_log_tells() -> None:
    options.quieten()
    from mellea.backends.ollama import OllamaModelBackend

    with StandIn(fixed(""), models=(), library=("phi4",)) as server:
        OllamaModelBackend("phi4", base_url=server.url).close()
    assert server.log.pulls == ["phi4"]
