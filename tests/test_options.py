from __future__ import annotations

import dataclasses
import json
import os
import re
from typing import Any

import pytest

from pytest_mcode import options, prompts
from pytest_mcode._errors import UsageError
from pytest_mcode.settings import GROUPS, OPTIONS, RECIPES, Settings, attribute

#: For each option a text other than its default, and the value that it means.
GIVEN: dict[str, tuple[str, object]] = {
    "bench": ("smoke", ("smoke",)),
    "model": ("granite3.3:8b", "granite3.3:8b"),
    "backend": ("openai", "openai"),
    "base-url": ("http://gpu:8000/v1", "http://gpu:8000/v1"),
    "gen-timeout": ("90", 90.0),
    "concurrency": ("12", 12),
    "sandboxes": ("3", 3),
    "context": ("8192", 8192),
    "samples": ("5", 5),
    "all-samples": ("true", True),
    "debug-iters": ("2", 2),
    "temperature": ("0.2", 0.2),
    "top-p": ("0.9", 0.9),
    "seed": ("7", 7),
    "max-tokens": ("512", 512),
    "limit": ("20", 20),
    "shard-count": ("4", 4),
    "shard-index": ("1", 1),
    "split": ("test", "test"),
    "data": ("rows.jsonl", "rows.jsonl"),
    "solutions": ("samples.jsonl", "samples.jsonl"),
    "sandbox": ("process", "process"),
    "image": ("python:3.8", "python:3.8"),
    "timeout": ("2.5", 2.5),
    "recipe": ("evalplus", "evalplus"),
    "feedback": ("none", "none"),
    "agent": ("react", "react"),
    "retrieval": ("oracle", "oracle"),
    "instance": ("a__a-1, b__b-2", ("a__a-1", "b__b-2")),
    "eval-timeout": ("60", 60.0),
    "mem-limit": ("512m", "512m"),
    "max-workers": ("3", 3),
    "namespace": ("ghcr.io/mine", "ghcr.io/mine"),
    "arch": ("arm64", "arm64"),
    "task-repo": ("tasks", "tasks"),
    "force-rebuild": ("true", True),
    "prune": ("true", True),
    "disk-floor": ("20", 20.0),
    "max-steps": ("9", 9),
    "agent-tokens": ("5000", 5000),
    "agent-seconds": ("99", 99.0),
    "resume": ("true", True),
    "run-id": ("nightly-7", "nightly-7"),
    "sweep": ("small-models", "small-models"),
    "pull": ("true", True),
    "db": ("other.db", "other.db"),
    "fail-under": ("0.6", 0.6),
    "fail-under-lower": ("true", True),
    "baseline": ("nightly-6", "nightly-6"),
    "max-regression": ("2.5", 2.5),
    "max-errors": ("2%", "2%"),
    "summary": ("job.md", "job.md"),
}
VALUES = {name: value for name, (_, value) in GIVEN.items()}

#: The options whose value may change what an answer comes to.
ANSWERS = {
    *("model", "backend", "context", "samples", "all-samples", "debug-iters", "temperature", "top-p", "seed"),
    *("max-tokens", "sandbox", "image", "timeout", "recipe", "feedback", "solutions"),
    *("agent", "retrieval", "eval-timeout", "mem-limit", "arch", "max-steps", "agent-tokens", "agent-seconds"),
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [opt.variable for opt in OPTIONS] + ["OLLAMA_HOST", "OPENAI_BASE_URL", "OPENAI_API_KEY"]:
        monkeypatch.delenv(name, raising=False)
    for name in ("MCODE_CACHE_DIR", "HF_ENDPOINT", "HF_HUB_OFFLINE", "MELLEA_LOGS_CONSOLE"):
        monkeypatch.delenv(name, raising=False)


def values(settings: Settings) -> dict[str, object]:
    return {opt.name: getattr(settings, attribute(opt)) for opt in OPTIONS}


def flags(**changed: str) -> list[str]:
    texts = {name: text for name, (text, _) in GIVEN.items()} | changed
    switches = {opt.name for opt in OPTIONS if opt.is_switch}
    return [f"--mcode-{name}" + ("" if name in switches else f"={text}") for name, text in texts.items()]


def refusal(config: pytest.Config) -> str:
    with pytest.raises(UsageError) as caught:
        options.resolve(config)
    return str(caught.value)


def test_the_options_are_these() -> None:
    assert {opt.name: opt.default for opt in OPTIONS} == {
        "bench": (),
        "model": "",
        "backend": "ollama",
        "base-url": None,
        "gen-timeout": 300.0,
        "concurrency": None,
        "sandboxes": None,
        "context": 16384,
        "samples": 1,
        "all-samples": False,
        "debug-iters": 0,
        "temperature": None,
        "top-p": None,
        "seed": 0,
        "max-tokens": None,
        "limit": None,
        "shard-count": 1,
        "shard-index": None,
        "split": None,
        "data": None,
        "solutions": None,
        "sandbox": "docker",
        "image": "python:3.12-slim",
        "timeout": 60.0,
        "recipe": "evalplus",
        "feedback": "tests",
        "agent": "oneshot",
        "retrieval": None,
        "instance": (),
        "eval-timeout": 1800.0,
        "mem-limit": "4g",
        "max-workers": None,
        "namespace": None,
        "arch": "auto",
        "task-repo": None,
        "force-rebuild": False,
        "prune": False,
        "disk-floor": 10.0,
        "max-steps": 30,
        "agent-tokens": 400_000,
        "agent-seconds": 1800.0,
        "resume": False,
        "run-id": None,
        "sweep": None,
        "pull": False,
        "db": "experiments/results/results.db",
        "fail-under": None,
        "fail-under-lower": False,
        "baseline": None,
        "max-regression": None,
        "max-errors": None,
        "summary": None,
    }


def test_every_option_is_a_flag(pytester: pytest.Pytester) -> None:
    assert values(options.resolve(pytester.parseconfig(*flags()))) == VALUES


def test_every_option_is_an_environment_variable(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (text, _) in GIVEN.items():
        monkeypatch.setenv("MCODE_" + name.upper().replace("-", "_"), text)
    assert values(options.resolve(pytester.parseconfig())) == VALUES


def test_every_option_is_an_ini_value(pytester: pytest.Pytester) -> None:
    lines = [f"mcode_{name.replace('-', '_')} = {text}" for name, (text, _) in GIVEN.items()]
    pytester.makeini("\n".join(["[pytest]", *lines]))
    assert values(options.resolve(pytester.parseconfig())) == VALUES


def test_every_option_is_a_value_of_its_own_type_in_a_toml_file(pytester: pytest.Pytester) -> None:
    native = {**VALUES, "bench": "smoke", "instance": "a__a-1,b__b-2", "gen-timeout": 90}
    lines = [f"mcode_{name.replace('-', '_')} = {json.dumps(value)}" for name, value in native.items()]
    pytester.makefile(".toml", pytest="\n".join(["[pytest]", *lines]))
    assert values(options.resolve(pytester.parseconfig())) == VALUES


def test_every_option_is_in_pytests_help_with_its_default(pytester: pytest.Pytester) -> None:
    told = " ".join(pytester.runpytest_inprocess("--help").stdout.str().split())
    for name in GIVEN:
        assert f"--mcode-{name}" in told
    assert "independent samples a task, stopping at the first that passes [default: 1]" in told
    assert "fix attempts after a failure, a sample [default: 0]" in told
    assert "seconds for one execution [default: 60]" in told
    assert "draw every sample even after one passed" in told
    assert "[default: False]" not in told


def test_a_flag_wins_over_the_environment_and_that_over_the_ini_file(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nmcode_model = m\nmcode_samples = 2\nmcode_limit = 2\nmcode_all_samples = true")
    assert options.resolve(pytester.parseconfig()).samples == 2
    monkeypatch.setenv("MCODE_SAMPLES", "3")
    monkeypatch.setenv("MCODE_ALL_SAMPLES", "false")
    settings = options.resolve(pytester.parseconfig("--mcode-samples=4"))
    assert (settings.samples, settings.limit, settings.all_samples) == (4, 2, False)
    assert options.resolve(pytester.parseconfig()).samples == 3


def test_an_empty_variable_or_ini_value_is_as_good_as_none(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nmcode_image =\nmcode_samples = 2")
    monkeypatch.setenv("MCODE_SAMPLES", "")
    monkeypatch.setenv("MCODE_LIMIT", " ")
    monkeypatch.setenv("MCODE_BENCH", "")
    config = pytester.parseconfig("--mcode-model=m")
    settings = options.resolve(config)
    assert (settings.samples, settings.limit, settings.image) == (2, None, "python:3.12-slim")
    assert options.benchmarks(config) == ()


def test_the_benchmarks_are_known_before_the_rest_is_looked_at(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig("--mcode-samples=none")
    assert options.benchmarks(config) == ()
    assert options.benchmarks(config, {"mcode_bench": "mbpp,humaneval"}) == ("mbpp", "humaneval")


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--mcode-samples=0", "--mcode-samples is '0', but must be a whole number of at least 1 and at most 10000."),
        (
            "--mcode-samples=many",
            "--mcode-samples is 'many', but must be a whole number of at least 1 and at most 10000.",
        ),
        ("--mcode-debug-iters=-1", "--mcode-debug-iters is '-1', but must be a whole number of at least 0."),
        ("--mcode-limit=0", "--mcode-limit is '0', but must be a whole number of at least 1."),
        ("--mcode-context=1", "--mcode-context is '1', but must be a whole number of at least 256."),
        ("--mcode-max-tokens=0", "--mcode-max-tokens is '0', but must be a whole number of at least 1."),
        (
            "--mcode-seed=2147483648",
            "--mcode-seed is '2147483648', but must be a whole number of at least 0 and at most 2147483647.",
        ),
        ("--mcode-timeout=nan", "--mcode-timeout is 'nan', but must be a number above 0."),
        ("--mcode-timeout=inf", "--mcode-timeout is 'inf', but must be a number above 0."),
        ("--mcode-gen-timeout=nan", "--mcode-gen-timeout is 'nan', but must be a number above 0."),
        ("--mcode-gen-timeout=0", "--mcode-gen-timeout is '0', but must be a number above 0."),
        ("--mcode-temperature=3", "--mcode-temperature is '3', but must be a number of at least 0 and at most 2."),
        ("--mcode-top-p=0", "--mcode-top-p is '0', but must be a number above 0 and at most 1."),
        (
            "--mcode-sandbox=dokcer",
            "--mcode-sandbox is 'dokcer', but must be one of docker, process (did you mean 'docker'?).",
        ),
        (
            "--mcode-backend=olama",
            "--mcode-backend is 'olama', but must be one of ollama, openai, litellm, hf (did you mean 'ollama'?).",
        ),
        (
            "--mcode-recipe=EvalPlus",
            "--mcode-recipe is 'EvalPlus', but must be one of evalplus (did you mean 'evalplus'?).",
        ),
        ("--mcode-feedback=all", "--mcode-feedback is 'all', but must be one of tests, none."),
        ("--mcode-model=", "--mcode-model is '', but must be not empty."),
        (
            "--mcode-run-id=a/b",
            "--mcode-run-id is 'a/b', but must be up to 100 letters, digits and ._- after a letter or digit.",
        ),
        (
            "--mcode-fail-under=60",
            "--mcode-fail-under is '60', but must be a share from 0 to 1, or in per cent with the sign: 0.6 or 60%.",
        ),
        (
            "--mcode-max-regression=-1",
            "--mcode-max-regression is '-1', but must be a number of at least 0 and at most 100.",
        ),
        (
            "--mcode-max-errors=half",
            "--mcode-max-errors is 'half', but must be a whole number of at least 0, or a share in per cent: 3 or 2%.",
        ),
    ],
)
def test_a_wrong_value_gets_one_sentence(pytester: pytest.Pytester, flag: str, sentence: str) -> None:
    assert refusal(pytester.parseconfig(flag)) == sentence


def test_no_benchmark_at_all_is_no_way_to_leave_the_option_out(pytester: pytest.Pytester) -> None:
    with pytest.raises(UsageError, match=r"^--mcode-bench is '', but must be names with commas between\.$"):
        options.benchmarks(pytester.parseconfig(), {"mcode_bench": ""})


def test_a_wrong_value_is_blamed_on_where_it_stands(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeini("[pytest]\nmcode_sandbox = podman\nmcode_samples = two")
    told = refusal(pytester.parseconfig("-o", "mcode_samples=1"))
    assert told == "ini value mcode_sandbox is 'podman', but must be one of docker, process."
    assert re.fullmatch(r"ini value mcode_samples cannot be read: .*'two'\.", refusal(pytester.parseconfig()))
    monkeypatch.setenv("MCODE_SAMPLES", "three")
    assert (
        refusal(pytester.parseconfig())
        == "MCODE_SAMPLES is 'three', but must be a whole number of at least 1 and at most 10000."
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            ["--mcode-samples=2"],
            "No model was named: add --mcode-model=NAME, or --mcode-model=reference to try the harness.",
        ),
        (
            ["--mcode-model=m", "--mcode-shard-count=3"],
            "--mcode-shard-count=3 needs --mcode-shard-index: which one is this?",
        ),
        (
            ["--mcode-model=m", "--mcode-shard-count=3", "--mcode-shard-index=3"],
            "--mcode-shard-index=3 must be below --mcode-shard-count=3.",
        ),
        (
            ["--mcode-model=m", "--mcode-shard-index=1"],
            "--mcode-shard-index=1 must be below --mcode-shard-count=1.",
        ),
        (
            ["--mcode-model=m", "--mcode-bench=smoke,mbpp", "--mcode-data=x.jsonl"],
            "--mcode-data is one benchmark's file: name a single benchmark with it.",
        ),
        (
            ["--mcode-model=m", "--mcode-bench=smoke,mbpp", "--mcode-run-id=x"],
            "--mcode-run-id is one run's, and each benchmark is a run: name a single benchmark with it.",
        ),
        (
            ["--mcode-model=m", "--mcode-seed=2147483647", "--mcode-samples=2"],
            "--mcode-seed=2147483647 leaves no seeds for so many samples: 2147483647 is the last one.",
        ),
        (
            ["--mcode-model=m", "--mcode-db=http://me:secret@host/x.db"],
            (
                "--mcode-db is 'http://host/x.db', but must be the path of a SQLite file, or a database of PostgreSQL "
                "as postgresql://HOST/DATABASE."
            ),
        ),
        (
            ["--mcode-model=m", "--mcode-fail-under-lower"],
            "--mcode-fail-under-lower is about --mcode-fail-under: which rate is to be reached?",
        ),
        (
            ["--mcode-model=m", "--mcode-max-regression=2"],
            "--mcode-max-regression needs --mcode-baseline: which run is it to be compared with?",
        ),
    ],
)
def test_what_cannot_be_meant_together_gets_one_sentence(
    pytester: pytest.Pytester, given: list[str], sentence: str
) -> None:
    assert refusal(pytester.parseconfig(*given)) == sentence


def test_a_shard_may_be_the_last_one(pytester: pytest.Pytester) -> None:
    given = ["--mcode-model=m", "--mcode-shard-count=3", "--mcode-shard-index=2"]
    assert options.resolve(pytester.parseconfig(*given)).shard_index == 2


@pytest.mark.parametrize(
    ("settings", "temperature"),
    [
        (Settings(samples=1), 0.0),
        (Settings(samples=2), 0.8),
        (Settings(samples=2, temperature=0.0), 0.0),
        (Settings(samples=1, temperature=0.3), 0.3),
    ],
)
def test_one_sample_is_greedy_and_several_differ(settings: Settings, temperature: float) -> None:
    assert settings.sampling_temperature == temperature


def test_every_option_is_stored_as_json(pytester: pytest.Pytester) -> None:
    stored = options.resolve(pytester.parseconfig(*flags())).stored
    assert json.loads(json.dumps(stored)) == stored == {**VALUES, "bench": ["smoke"], "instance": ["a__a-1", "b__b-2"]}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("http://me:secret@gpu:8000/v1", "http://gpu:8000/v1"),
        ("http://gpu/v1?api_key=secret", "http://gpu/v1"),
        ("me:secret@gpu:8000", "gpu:8000"),
    ],
)
def test_a_stored_server_has_no_credentials(given: str, stored: str) -> None:
    assert Settings(base_url=given).stored["base-url"] == stored


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("postgresql://me:secret@db/mcode", "postgresql://db/mcode"),
        ("runs/me@work.db", "runs/me@work.db"),
        ("me@work.db", "me@work.db"),
    ],
)
def test_a_stored_database_has_no_credentials(given: str, stored: str) -> None:
    assert Settings(db=given).stored["db"] == stored


@pytest.mark.parametrize("name", sorted(VALUES))
def test_the_hash_changes_exactly_with_what_may_change_an_answer(name: str) -> None:
    other: Any = "llama" if name == "recipe" else VALUES[name]
    changed = dataclasses.replace(Settings(), **{name.replace("-", "_"): other})
    assert (changed.hashed != Settings().hashed) == (name in ANSWERS)


def test_the_hash_is_of_the_temperature_that_is_used() -> None:
    assert Settings(temperature=0.0).hashed == Settings().hashed
    assert Settings(samples=5, temperature=0.8).hashed == Settings(samples=5).hashed
    assert re.fullmatch("[0-9a-f]{12}", Settings().hashed)


def test_every_recipe_can_be_named() -> None:
    assert tuple(prompts.RECIPES) == RECIPES


def test_every_option_belongs_to_a_group() -> None:
    assert {opt.group for opt in OPTIONS} == set(GROUPS)


def test_ollama_is_where_it_says_or_where_its_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options.ollama_url(Settings()) == "http://127.0.0.1:11434"
    monkeypatch.setenv("OLLAMA_HOST", " gpu:8080 ")
    assert options.ollama_url(Settings()) == "http://gpu:8080"
    assert options.ollama_url(Settings(base_url="http://other")) == "http://other:80"


def test_an_openai_server_is_where_it_says_or_where_its_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options.openai_url(Settings()) == "http://127.0.0.1:8000/v1"
    assert options.api_key() == "none"
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api/v1/")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert options.openai_url(Settings()) == "https://api/v1"
    assert options.openai_url(Settings(base_url="gpu:8000/v1")) == "http://gpu:8000/v1"
    assert options.api_key() == "k"


def test_the_database_and_the_cache_have_a_place_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options.default_database() == "experiments/results/results.db"
    assert options.cache_dir().name == "mcode"
    monkeypatch.setenv("MCODE_DB", "mine.db")
    monkeypatch.setenv("MCODE_CACHE_DIR", "/cache")
    assert options.default_database() == "mine.db"
    assert str(options.cache_dir()) == "/cache"


def test_the_hub_is_where_it_says_or_not_to_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options.hub_url() == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert options.hub_url() == "http://mirror"
    options.leave_hub_alone()
    assert options.hub_url() is None


def test_mellea_is_quiet_unless_its_log_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELLEA_LOGS_CONSOLE", "1")
    options.quieten()
    assert os.environ["MELLEA_LOGS_CONSOLE"] == "1"
    monkeypatch.delenv("MELLEA_LOGS_CONSOLE")
    options.quieten()
    assert os.environ["MELLEA_LOGS_CONSOLE"] == "0"
