"""The solver, through Mellea and the real clients, against a server that does whatever servers do."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_mcode._errors import ModelError, SandboxError, UsageError
from pytest_mcode._types import Attempt, Completion, Judge, Judgement, Message, Prompt, Solver, Task, Verdict
from pytest_mcode.settings import Settings
from pytest_mcode.solvers import open_solver, servers
from tests.standin import Fault, Model, Outcome, Reply, StandIn, faulty, fixed, in_turn, status
from tests.standin.log import wait_until
from tests.standin.tls import no_certificates

MODEL = "granite3.3:8b"
TASK = Task("Demo/0", "def f(): ...", "assert f() == 1", reference="def f():\n    return 1\n")
PROMPT = Prompt((Message("user", "Write f."),), max_tokens=768)
BACKENDS = ("ollama", "openai")

#: Everything that may pass by itself, with words of the sentence that tells of it.
PASSING = [
    pytest.param(status(500, "llama runner process has terminated"), "runner process has terminated", id="500"),
    pytest.param(status(503, "server busy"), "server busy", id="503"),
    pytest.param(status(429, "slow down"), "slow down", id="429"),
    pytest.param(status(408, "too slow"), "too slow", id="408"),
    pytest.param(faulty(Fault.RESET), "onnection", id="reset"),
    pytest.param(faulty(Fault.RESET_MIDWAY), "onnection", id="reset midway"),
    pytest.param(faulty(Fault.TRUNCATED), "cannot be read (JSONDecodeError", id="truncated"),
    pytest.param(faulty(Fault.MALFORMED), "cannot be read (JSONDecodeError", id="malformed"),
    pytest.param(faulty(Fault.HTML), "502", id="HTML 502"),
    pytest.param(faulty(Fault.HTML, status=200), "cannot be read", id="HTML 200"),
    pytest.param(faulty(Fault.EMPTY), "for which nothing was generated", id="empty"),
    pytest.param(faulty(Fault.LOAD), "incomplete (finish reason load)", id="load"),
    pytest.param(Reply("def f():", finish=None), "incomplete (finish reason None)", id="no reason"),
]


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever was not closed or awaited warns when it is collected; warnings are errors."""
    with no_certificates(tmp_path_factory.mktemp("certificates")):
        yield
    gc.collect()


async def passes(index: int, completion: Completion) -> Judgement:
    return Judgement(Attempt(index, Verdict.PASSED, completion), "")


async def fails(index: int, completion: Completion) -> Judgement:
    return Judgement(Attempt(index, Verdict.FAILED, completion), f"AssertionError in attempt {index}")


def passes_from(first: int) -> Judge:
    """A judge that fails attempts before that one."""

    async def judge(index: int, completion: Completion) -> Judgement:
        return await (passes if index >= first else fails)(index, completion)

    return judge


def solver_for(server: StandIn, backend: str = "ollama", **more: Any) -> Solver:
    url = server.url if backend == "ollama" else server.openai_url
    return open_solver(Settings(model=more.pop("model", MODEL), backend=backend, base_url=url, **more), pause=0.01)


def sample(
    server: StandIn,
    judge: Judge = passes,
    *,
    backend: str = "ollama",
    prompt: Prompt = PROMPT,
    seed: int = 0,
    **more: Any,
) -> tuple[Attempt, ...]:
    """One sample by a solver of its own."""

    async def run() -> tuple[Attempt, ...]:
        solver = solver_for(server, backend, **more)
        try:
            return await solver.sample(TASK, prompt, judge, seed=seed)
        finally:
            await solver.aclose()

    return asyncio.run(run())


def only(attempts: tuple[Attempt, ...]) -> Attempt:
    (attempt,) = attempts
    return attempt


def completion_of(attempt: Attempt) -> Completion:
    assert attempt.completion is not None
    return attempt.completion


# --- what is sent


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_repair_sends_the_whole_conversation_with_the_feedback(backend: str) -> None:
    with StandIn(lambda request: Reply(f"answer {request.attempt}")) as server:
        attempts = sample(server, passes_from(2), backend=backend, debug_iters=3)
    assert [attempt.verdict for attempt in attempts] == [Verdict.FAILED, Verdict.FAILED, Verdict.PASSED]
    assert [attempt.index for attempt in attempts] == [0, 1, 2]
    roles, contents = zip(*server.log.requests[2].messages, strict=True)
    assert roles == ("user", "assistant", "user", "assistant", "user")
    assert (contents[0], contents[1], contents[3]) == ("Write f.", "answer 0", "answer 1")
    assert "AssertionError in attempt 0" in contents[2]
    assert "AssertionError in attempt 1" in contents[4]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_debug_loop_ends_when_its_iterations_are_spent(backend: str) -> None:
    with StandIn(fixed("wrong")) as server:
        attempts = sample(server, fails, backend=backend, debug_iters=2)
    assert [attempt.verdict for attempt in attempts] == [Verdict.FAILED] * 3
    assert len(server.log.requests) == 3


def test_without_debug_iterations_a_failure_is_final() -> None:
    with StandIn(fixed("wrong")) as server:
        assert only(sample(server, fails)).verdict is Verdict.FAILED
    assert len(server.log.requests) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_prompt_of_several_turns_is_sent_byte_for_byte(backend: str) -> None:
    texts = ("Be {{ brief }}.", "  Write <f>&amp;\n\n", "```python\n", "é世\u2028\t{% raw %} ")
    prompt = Prompt(tuple(map(Message, ("system", "user", "assistant", "user"), texts)), max_tokens=9)
    with StandIn(fixed("ok")) as server:
        attempt = only(sample(server, backend=backend, prompt=prompt))
    assert server.log.requests[0].messages == tuple(zip(("system", "user", "assistant", "user"), texts, strict=True))
    assert completion_of(attempt).prompt == prompt.messages


def test_the_prompt_that_is_recorded_is_the_conversation_that_was_sent() -> None:
    with StandIn(lambda request: Reply(f"answer {request.attempt}")) as server:
        _, second = sample(server, passes_from(1), debug_iters=1)
    recorded = tuple((turn.role, turn.content) for turn in completion_of(second).prompt)
    assert recorded == server.log.requests[1].messages


@pytest.mark.parametrize("backend", BACKENDS)
def test_samples_differ_by_their_seed_alone(backend: str) -> None:
    with StandIn(fixed("ok")) as server:
        for seed in (3, 4, 5):
            sample(server, backend=backend, seed=seed, samples=3)
    assert [request.options.seed for request in server.log.requests] == [3, 4, 5]
    assert len({(request.messages, request.options.temperature) for request in server.log.requests}) == 1


def test_ollama_is_sent_every_option_and_no_stream() -> None:
    prompt = Prompt(PROMPT.messages, max_tokens=768, stop=("\nassert",))
    with StandIn(fixed("ok")) as server:
        sample(server, prompt=prompt, seed=7, temperature=0.5, top_p=0.9, context=4096)
    assert server.log.requests[0].body["stream"] is False
    assert server.log.requests[0].body["options"] == {
        "seed": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "num_ctx": 4096,
        "num_predict": 768,
        "stop": ["\nassert"],
    }


def test_a_local_openai_server_is_sent_the_limit_under_the_name_that_it_knows() -> None:
    prompt = Prompt(PROMPT.messages, max_tokens=768, stop=("\nassert",))
    with StandIn(fixed("ok")) as server:
        sample(server, backend="openai", prompt=prompt, seed=7, temperature=0.5, top_p=0.9)
    body = {name: value for name, value in server.log.requests[0].body.items() if value is not None}
    assert body == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Write f."}],
        "stream": False,
        "seed": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 768,
        "stop": ["\nassert"],
    }


def test_openai_itself_is_sent_the_limit_under_its_newer_name() -> None:
    from mellea import ModelOption

    from pytest_mcode.solvers.mellea import limit

    settings = Settings(model="gpt-x", backend="openai", base_url="https://api.openai.com/v1")
    assert limit(settings, 64) == {ModelOption.MAX_NEW_TOKENS: 64}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_users_token_limit_goes_before_the_recipes(backend: str) -> None:
    with StandIn(fixed("ok")) as server:
        sample(server, backend=backend, max_tokens=64)
    assert server.log.requests[0].options.max_tokens == 64


def test_one_sample_is_greedy_and_several_are_not() -> None:
    with StandIn(fixed("ok")) as server:
        sample(server, samples=1)
        sample(server, samples=5)
    assert [request.options.temperature for request in server.log.requests] == [0.0, 0.8]


# --- what is recorded


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_completion_is_recorded_with_all_that_the_server_told(backend: str) -> None:
    reply = Reply("def f(): return 1", prompt_tokens=120, completion_tokens=9, seconds=0.1)
    with StandIn(fixed(reply)) as server:
        attempt = only(sample(server, backend=backend))
    completion = completion_of(attempt)
    assert (attempt.verdict, attempt.error) == (Verdict.PASSED, "")
    assert (completion.text, completion.thinking, completion.finish_reason) == ("def f(): return 1", "", "stop")
    assert (completion.prompt_tokens, completion.completion_tokens, completion.tries) == (120, 9, 1)
    assert 0.1 <= completion.seconds < 5.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_thinking_is_kept_apart_and_not_sent_again(backend: str) -> None:
    with StandIn(fixed(Reply("the answer", thinking="the reasoning"))) as server:
        first, _ = sample(server, passes_from(1), backend=backend, debug_iters=1)
    assert (completion_of(first).text, completion_of(first).thinking) == ("the answer", "the reasoning")
    assert server.log.requests[1].messages[1] == ("assistant", "the answer")
    assert "the reasoning" not in str(server.log.requests[1].body)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_answer_cut_at_the_limit_is_an_answer_that_says_so(backend: str) -> None:
    with StandIn(fixed(Reply("def f(", finish="length"))) as server:
        assert completion_of(only(sample(server, backend=backend))).finish_reason == "length"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_that_only_thought_has_answered(backend: str) -> None:
    with StandIn(fixed(Reply("", thinking="hm", finish="length"))) as server:
        completion = completion_of(only(sample(server, fails, backend=backend)))
    assert (completion.text, completion.thinking) == ("", "hm")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_that_chose_to_say_nothing_has_answered(backend: str) -> None:
    with StandIn(fixed(Reply("", completion_tokens=1))) as server:
        assert only(sample(server, fails, backend=backend)).verdict is Verdict.FAILED
    assert len(server.log.requests) == 1


def test_a_count_of_nought_that_ollama_leaves_out_does_not_lose_the_other() -> None:
    with StandIn(fixed(Reply("cached", prompt_tokens=0, completion_tokens=9))) as server:
        completion = completion_of(only(sample(server)))
    assert (completion.prompt_tokens, completion.completion_tokens) == (0, 9)


# --- faults that may pass


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("reply", "words"), PASSING)
def test_a_passing_fault_is_tried_again_and_the_try_is_recorded(reply: Reply, words: str, backend: str) -> None:
    with StandIn(in_turn(reply, "def f(): return 1")) as server:
        attempt = only(sample(server, backend=backend))
    assert attempt.verdict is Verdict.PASSED, words
    assert (completion_of(attempt).text, completion_of(attempt).tries) == ("def f(): return 1", 2)
    assert [request.number for request in server.log.requests] == [1, 2]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("reply", "words"), PASSING)
def test_a_fault_that_does_not_pass_is_an_error_and_never_a_failure(reply: Reply, words: str, backend: str) -> None:
    async def never(index: int, completion: Completion) -> Judgement:
        raise AssertionError(f"attempt {index} was judged: {completion}")

    with StandIn(fixed(reply)) as server:
        attempt = only(sample(server, never, backend=backend, debug_iters=2))
    assert (attempt.verdict, attempt.completion) == (Verdict.ERROR, None)
    assert words in attempt.error
    assert attempt.error.endswith(" It was asked 3 times.")
    assert "\n" not in attempt.error
    assert len(server.log.requests) == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_outage_during_a_repair_keeps_the_attempts_before_it(backend: str) -> None:
    def script(request: Any) -> Reply:
        return Reply("wrong") if request.attempt == 0 else status(500)

    with StandIn(script) as server:
        attempts = sample(server, fails, backend=backend, debug_iters=2)
    assert [(attempt.index, attempt.verdict) for attempt in attempts] == [(0, Verdict.FAILED), (1, Verdict.ERROR)]
    assert completion_of(attempts[0]).text == "wrong"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_server_that_has_gone_is_an_error(backend: str) -> None:
    with StandIn(fixed("ok")) as server:
        server.stop()
        attempt = only(sample(server, backend=backend))
    assert attempt.verdict is Verdict.ERROR
    assert "onnect" in attempt.error


def test_pauses_grow_between_tries() -> None:
    with StandIn(fixed(status(503))) as server:
        url = server.url
        solver = open_solver(Settings(model=MODEL, base_url=url), pause=0.1)

        async def run() -> None:
            await solver.sample(TASK, PROMPT, passes, seed=0)
            await solver.aclose()

        asyncio.run(run())
    first, second, third = (exchange.arrived for exchange in server.log.exchanges)
    assert second - first >= 0.1
    assert third - second >= 0.2


def test_a_long_page_of_a_proxy_is_cut_in_the_sentence() -> None:
    with StandIn(fixed(status(500, "x" * 5000))) as server:
        assert 300 < len(only(sample(server)).error) < 400


def test_retries_say_nothing_on_the_terminal_or_in_the_log(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with StandIn(fixed(status(500))) as server:
        sample(server)
        sample(server, backend="openai")
    assert capfd.readouterr() == ("", "")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


# --- faults that do not pass


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_a_refusal_is_an_error_at_once(code: int, backend: str) -> None:
    with StandIn(fixed(status(code, "this cannot be"))) as server:
        attempt = only(sample(server, backend=backend))
    assert attempt.verdict is Verdict.ERROR
    assert "this cannot be" in attempt.error
    assert "It was asked" not in attempt.error
    assert len(server.log.requests) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_absent_model_is_an_error_and_never_pulled(backend: str) -> None:
    with StandIn(fixed("ok"), library=("granite3.3",)) as server:
        attempt = only(sample(server, backend=backend, model="granite3.3"))
    assert attempt.verdict is Verdict.ERROR
    assert "granite3.3" in attempt.error
    assert server.log.pulls == []


def test_opening_the_solver_asks_the_server_nothing() -> None:
    with StandIn(fixed("ok"), models=(), library=(MODEL,)) as server:
        sample(server)
        assert server.log.pulls == []
        assert [request.path for request in server.log.requests] == ["/api/chat"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reply", [faulty(Fault.HANG), faulty(Fault.TRICKLE, seconds=30), Reply("late", seconds=30)])
def test_a_generation_is_cut_at_the_time_limit_and_cancelled_at_the_server(reply: Reply, backend: str) -> None:
    async def run(server: StandIn) -> Attempt:
        solver = solver_for(server, backend, gen_timeout=0.4)
        attempt = only(await solver.sample(TASK, PROMPT, passes, seed=0))
        await asyncio.to_thread(server.log.settle)  # while the solver is still open
        await solver.aclose()
        return attempt

    with StandIn(fixed(reply), slots=1) as server:
        attempt = asyncio.run(run(server))
        assert server.log.outcomes == [Outcome.CANCELLED]
    assert attempt.verdict is Verdict.ERROR
    assert attempt.error == "The model did not answer within 0.4 s: raise --mcode-gen-timeout?"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sample_that_is_cancelled_cancels_its_request(backend: str) -> None:
    async def run(server: StandIn) -> None:
        solver = solver_for(server, backend)
        task = asyncio.ensure_future(solver.sample(TASK, PROMPT, passes, seed=0))
        await asyncio.to_thread(wait_until, lambda: server.log.served == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.log.settle)
        await solver.aclose()

    with StandIn(fixed(faulty(Fault.HANG))) as server:
        asyncio.run(run(server))
        assert server.log.outcomes == [Outcome.CANCELLED]


# --- the judge


def test_a_broken_sandbox_is_an_error_that_ends_the_sample() -> None:
    async def broken(index: int, completion: Completion) -> Judgement:
        return Judgement(Attempt(index, Verdict.ERROR, completion, error="No container engine."), "")

    with StandIn(fixed("def f(): return 1")) as server:
        attempt = only(sample(server, broken, debug_iters=3))
    assert (attempt.verdict, attempt.error) == (Verdict.ERROR, "No container engine.")
    assert completion_of(attempt).text == "def f(): return 1"
    assert len(server.log.requests) == 1


def test_a_judge_that_raises_for_its_sandbox_makes_an_error_too() -> None:
    async def broken(index: int, completion: Completion) -> Judgement:
        raise SandboxError(f"The engine went away during attempt {index} of {completion.text}.")

    with StandIn(fixed("ok")) as server:
        attempt = only(sample(server, broken, debug_iters=3))
    assert (attempt.verdict, attempt.error) == (Verdict.ERROR, "The engine went away during attempt 0 of ok.")


@pytest.mark.parametrize("bug", [ZeroDivisionError("bug"), ConnectionError("bug"), TimeoutError("bug")])
def test_a_bug_of_the_judge_is_raised_and_not_taken_for_an_outage(bug: Exception) -> None:
    async def buggy(index: int, completion: Completion) -> Judgement:  # noqa: ARG001 - it comes to nothing
        raise bug

    with StandIn(fixed("ok")) as server, pytest.raises(type(bug), match="bug"):
        sample(server, buggy)
    assert len(server.log.requests) == 1


def test_a_slow_judge_does_not_hold_up_other_samples() -> None:
    async def slow(index: int, completion: Completion) -> Judgement:
        await asyncio.sleep(0.3)
        return await passes(index, completion)

    async def run(server: StandIn) -> list[tuple[Attempt, ...]]:
        solver = solver_for(server)
        samples = [solver.sample(TASK, PROMPT, slow, seed=seed) for seed in range(16)]
        found = await asyncio.gather(*samples)
        await solver.aclose()
        return found

    with StandIn(fixed(Reply("ok", seconds=0.2)), slots=16) as server:
        started = time.perf_counter()
        found = asyncio.run(run(server))
        assert time.perf_counter() - started < 4.0
    assert {only(attempts).verdict for attempts in found} == {Verdict.PASSED}
    assert server.log.peak_served > 4


# --- closing


@pytest.mark.parametrize("backend", BACKENDS)
def test_closing_leaves_no_connection_open(backend: str) -> None:
    async def run(server: StandIn) -> int:
        solver = solver_for(server, backend)
        await asyncio.gather(*(solver.sample(TASK, PROMPT, passes, seed=seed) for seed in range(4)))
        used = server.connections
        await solver.aclose()
        return used

    with StandIn(fixed("ok")) as server:
        assert asyncio.run(run(server)) >= 1
        wait_until(lambda: server.connections == 0)


def test_a_solver_that_was_never_used_closes() -> None:
    async def run(server: StandIn) -> None:
        await solver_for(server).aclose()

    with StandIn(fixed("")) as server:
        asyncio.run(run(server))
        assert server.connections == 0


# --- backends without a server of ours


def reference(task: Task) -> tuple[Attempt, ...]:
    async def run() -> tuple[Attempt, ...]:
        solver = open_solver(Settings(model="reference", base_url="http://127.0.0.1:1"))
        try:
            return await solver.sample(task, PROMPT, passes_from(1), seed=0)
        finally:
            await solver.aclose()

    return asyncio.run(run())


def test_the_reference_needs_no_server_and_answers_as_a_model_would() -> None:
    completion = completion_of(only(reference(TASK)))
    assert completion.text == "Here is the solution:\n\n```python\ndef f():\n    return 1\n```\n"
    assert (completion.prompt, completion.finish_reason, completion.tries) == (PROMPT.messages, "stop", 1)


def test_a_task_without_reference_is_an_error_at_once() -> None:
    attempt = only(reference(Task("Demo/1", "", "")))
    assert (attempt.verdict, attempt.completion) == (Verdict.ERROR, None)
    assert attempt.error == ("Task Demo/1 has no reference solution: run this benchmark with a real --mcode-model.")


def opened(settings: Settings) -> tuple[Attempt, ...]:
    async def run() -> tuple[Attempt, ...]:
        return await open_solver(settings).sample(TASK, PROMPT, passes, seed=0)

    return asyncio.run(run())


def test_a_backend_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    monkeypatch.delitem(sys.modules, "mellea.backends.litellm", raising=False)
    with pytest.raises(UsageError, match=r"The litellm backend is not installed: .* pip install \"mellea\[litellm\]\""):
        opened(Settings(model="x", backend="litellm"))


def test_a_backend_that_cannot_be_opened_is_an_error() -> None:
    attempt = only(opened(Settings(model="x", backend="openai", base_url="http://127.0.0.1:port/v1")))
    assert attempt.verdict is Verdict.ERROR
    assert attempt.error.startswith("The openai backend could not be opened: ")


# --- looking at the server beforehand


def look(server: StandIn, model: str, backend: str = "ollama", base_url: str | None = None) -> dict[str, str]:
    url = base_url or (server.url if backend == "ollama" else server.openai_url)
    return servers.check(Settings(model=model, backend=backend, base_url=url))


@pytest.mark.parametrize("name", ["qwen3", "qwen3:latest"])
def test_the_check_tells_what_the_run_depends_on(name: str) -> None:
    with StandIn(fixed(""), models=(Model("qwen3", digest="ab" * 32, quantization="Q8_0"),)) as server:
        assert look(server, name) == {
            "ollama": "0.12.6",
            "model_digest": "ab" * 32,
            "quantization": "Q8_0",
            "parameter_size": "8.2B",
            "family": "granite",
            "context_length": "131072",
        }
    assert server.log.pulls == []


@pytest.mark.parametrize("name", ["qwen3", "qwen3:latest"])
def test_an_openai_server_serves_the_model_that_it_lists(name: str) -> None:
    with StandIn(fixed(""), models=("qwen3",)) as server:
        assert look(server, name, "openai") == {"owned_by": "library"}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["granite3.3", "granite3.3:2b", "granit3.3:8b"])
def test_another_name_is_refused_with_the_nearest(name: str, backend: str) -> None:
    with StandIn(fixed(""), models=(MODEL, "phi4")) as server, pytest.raises(UsageError) as caught:
        look(server, name, backend)
    assert repr(name) in str(caught.value)
    assert "did you mean 'granite3.3:8b'?" in str(caught.value)
    assert server.log.pulls == []


def test_ollamas_refusal_says_what_to_do() -> None:
    with StandIn(fixed("")) as server, pytest.raises(UsageError, match="'ollama pull nothing' fetches it"):
        look(server, "nothing")


@pytest.mark.parametrize(
    ("backend", "advice"), [("ollama", "Start Ollama ('ollama serve')"), ("openai", "--mcode-base-url")]
)
def test_a_server_that_does_not_answer_is_told_with_what_to_do(backend: str, advice: str) -> None:
    with pytest.raises(ModelError) as caught:
        servers.check(Settings(model=MODEL, backend=backend, base_url="http://127.0.0.1:1"))
    assert "cannot be reached" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert advice in str(caught.value)


def test_a_server_that_is_not_ollama_is_told_apart() -> None:
    with StandIn(fixed("")) as server, pytest.raises(ModelError, match="is not Ollama"):
        look(server, MODEL, base_url=f"{server.url}/v1")


def test_a_server_that_does_not_speak_json_is_told_apart() -> None:
    with StandIn(fixed("")) as server, pytest.raises(ModelError, match="did not answer in JSON"):
        servers.ask(f"{server.url}/")


def test_a_server_without_a_list_of_models_is_believed() -> None:
    with StandIn(fixed("")) as server:
        assert look(server, "any", "openai", f"{server.url}/nothing") == {}


def test_a_wrong_key_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "guess")
    with StandIn(fixed("ok"), key="secret") as server:
        with pytest.raises(ModelError, match=r"HTTP 401 \(Unauthorized\). Is OPENAI_API_KEY right\?"):
            look(server, MODEL, "openai")
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        assert look(server, MODEL, "openai") == {"owned_by": "library"}
        assert only(sample(server, backend="openai")).verdict is Verdict.PASSED


@pytest.mark.parametrize(("backend", "package"), [("litellm", "litellm"), ("hf", "llguidance")])
def test_another_backend_must_be_installed_and_has_no_server_to_look_at(
    backend: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(model="x", backend=backend)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"backend is not installed: pip install 'mellea\[{backend}\]'"):
        servers.check(settings)
    monkeypatch.setitem(sys.modules, package, pytest)  # any package that is there
    assert servers.check(settings) == {}


def test_the_reference_has_no_server_to_look_at() -> None:
    assert servers.check(Settings(model="reference", base_url="http://127.0.0.1:1")) == {}


@pytest.mark.parametrize("where", ["127.0.0.1", "127.0.0.1:1"])
def test_a_password_in_the_address_is_never_shown(where: str) -> None:
    settings = Settings(model=MODEL, backend="openai", base_url=f"http://user:hunter2@{where}/v1")
    with pytest.raises(ModelError) as caught:
        servers.check(settings)
    assert "hunter2" not in str(caught.value)
    assert "cannot be reached" in str(caught.value)


def test_a_password_in_the_address_logs_in_to_an_openai_server() -> None:
    import base64

    login = base64.b64encode(b"user:p@ss").decode()
    assert servers.authorization("http://user:p%40ss@host/v1/models", "key") == {"Authorization": f"Basic {login}"}


def test_ollamas_client_cannot_log_in_and_the_check_says_so() -> None:
    with pytest.raises(UsageError, match="sends no user name or password"):
        servers.check(Settings(model=MODEL, base_url="http://user:hunter2@127.0.0.1:1"))
