"""Every option, declared once.

From the fields of `Settings` come the pytest flags (``--mcode-samples``), the ini values (``mcode_samples``), the
environment variables (``MCODE_SAMPLES``), the flags of ``mcode bench`` (``--samples``), the help, the stored
configuration and its hash. `options` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from pytest_mcode import _url
from pytest_mcode._option import Option, option
from pytest_mcode._parse import (
    identifier,
    memory,
    names,
    namespace,
    number,
    one_of,
    share,
    so_many,
    some,
    switch,
    whole,
)

BACKENDS = ("ollama", "openai", "litellm", "hf")
SANDBOXES = ("docker", "process")
#: The backend of solutions that were made elsewhere, and how a run is named where a file could be.
IMPORTED, RUN = "imported", "run:"
FEEDBACK = ("tests", "none")
RECIPES = ("evalplus",)
AGENTS = ("oneshot", "react", "gold", "empty")
RETRIEVAL = ("bm25", "oracle", "none")
ARCHITECTURES = ("auto", "x86_64", "arm64")
#: The largest seed: 32 bits with a sign are what every server takes.
SEEDS = 2**31 - 1
#: The most samples of a task: more would fill the memory before anything was measured.
SAMPLES = 10_000
GROUPS = ("what to run", "model", "sampling", "judging", "prompts", "repositories", "results", "gates")


#: Other spellings of benchmarks, for shells and files in which a plus is awkward.
ALIASES = {f"{name}{end}": f"{name}+" for name in ("humaneval", "mbpp") for end in ("_plus", "-plus")}


def benchmarks(text: str) -> tuple[str, ...]:
    """Parse names of benchmarks with commas between."""
    return tuple(dict.fromkeys(ALIASES.get(name, name) for name in names(text)))


@dataclass(frozen=True, eq=False, repr=False)  # bare: building it is most of what an inert plugin costs
class Settings:
    """The configuration of a run, every value checked. Seconds are seconds of wall time."""

    bench: tuple[str, ...] = option((), "benchmarks, with commas between", "what to run", benchmarks, "NAMES")
    model: str = option("", "model name as the server knows it, or 'reference'", "model", some, "NAME", answers=True)
    backend: str = option(
        "ollama", "Mellea backend: " + ", ".join(BACKENDS), "model", one_of(*BACKENDS), "NAME", answers=True
    )
    base_url: str | None = option(
        None, "model server, when not the backend's default or OLLAMA_HOST", "model", some, "URL"
    )
    gen_timeout: float = option(300.0, "seconds for one generation", "model", number(0, above=True), "SECONDS")
    pull: bool = option(False, "have Ollama fetch the model if it does not have it", "model", switch)
    concurrency: int | None = option(
        None, "requests at once, of each process [default: what the server serves]", "model", whole(1), "N"
    )
    context: int = option(
        16384, "context window to ask of the server, in tokens", "model", whole(256), "TOKENS", answers=True
    )
    samples: int = option(
        1,
        "independent samples a task, stopping at the first that passes",
        "sampling",
        whole(1, SAMPLES),
        "N",
        answers=True,
    )
    all_samples: bool = option(False, "draw every sample even after one passed", "sampling", switch, answers=True)
    debug_iters: int = option(0, "fix attempts after a failure, a sample", "sampling", whole(0), "K", answers=True)
    temperature: float | None = option(
        None,
        "sampling temperature [default: 0 for one sample, 0.8 for several]",
        "sampling",
        number(0, 2),
        "T",
        answers=True,
    )
    top_p: float | None = option(
        None, "nucleus sampling [default: the server's]", "sampling", number(0, 1, above=True), "P", answers=True
    )
    seed: int = option(
        0, "seed of the first sample; sample n uses seed + n", "sampling", whole(0, SEEDS), "N", answers=True
    )
    max_tokens: int | None = option(
        None, "limit of new tokens [default: the recipe's]", "sampling", whole(1), "N", answers=True
    )
    limit: int | None = option(None, "only the first N tasks", "what to run", whole(1), "N")
    instance: tuple[str, ...] = option(
        (), "only the tasks of these ids, with commas between", "what to run", names, "IDS"
    )
    shard_count: int = option(1, "cut the tasks into this many shards", "what to run", whole(1), "N")
    shard_index: int | None = option(None, "which shard to run, from 0", "what to run", whole(0), "I")
    split: str | None = option(None, "split of the data set [default: the benchmark's]", "what to run", some, "NAME")
    data: str | None = option(
        None, "local JSON, JSONL(.gz) or Parquet file with the hub's columns", "what to run", some, "PATH"
    )
    solutions: str | None = option(
        None,
        "judge the samples of a file or directory, or of a run as run:ID, and ask no model",
        "what to run",
        some,
        "FILE",
        answers=True,
        newer=True,
    )
    sandbox: str = option(
        "docker", "where programs run: " + ", ".join(SANDBOXES), "judging", one_of(*SANDBOXES), "NAME", answers=True
    )
    image: str = option(
        "python:3.12-slim",
        "image of the docker sandbox, any with Python >= 3.8",
        "judging",
        some,
        "IMAGE",
        answers=True,
    )
    sandboxes: int | None = option(None, "warm sandboxes of a process [default: one a core]", "judging", whole(1), "N")
    timeout: float = option(
        60.0, "seconds for one execution", "judging", number(0, above=True), "SECONDS", answers=True
    )
    recipe: str = option(
        "evalplus",
        "published prompt convention: " + ", ".join(RECIPES),
        "prompts",
        one_of(*RECIPES),
        "NAME",
        answers=True,
    )
    feedback: str = option(
        "tests",
        "what a debug iteration is told: the tests' output, or none of it",
        "prompts",
        one_of(*FEEDBACK),
        "NAME",
        answers=True,
    )
    agent: str = option(
        "oneshot",
        "how an issue's patch is made: " + ", ".join(AGENTS),
        "repositories",
        one_of(*AGENTS),
        "NAME",
        answers=True,
        newer=True,
    )
    retrieval: str | None = option(
        None,
        "how the files that a oneshot prompt shows are chosen: " + ", ".join(RETRIEVAL) + " [default: bm25]",
        "repositories",
        one_of(*RETRIEVAL),
        "NAME",
        answers=True,
        newer=True,
    )
    eval_timeout: float = option(
        1800.0,
        "seconds for the tests of one patch",
        "repositories",
        number(0, above=True),
        "SECONDS",
        answers=True,
        newer=True,
    )
    mem_limit: str = option(
        "4g", "memory of a container of an instance", "repositories", memory, "SIZE", answers=True, newer=True
    )
    max_workers: int | None = option(
        None,
        "containers of instances at once, on this machine [default: as memory and cores allow]",
        "repositories",
        whole(1),
        "N",
    )
    namespace: str | None = option(
        None, "registry namespace of the images; empty: local images only", "repositories", namespace, "NAME"
    )
    arch: str = option(
        "auto",
        "architecture of the images: " + ", ".join(ARCHITECTURES),
        "repositories",
        one_of(*ARCHITECTURES),
        "NAME",
        answers=True,
        newer=True,
    )
    task_repo: str | None = option(
        None, "checkout of SWE-bench's task repository, to build missing images from", "repositories", some, "PATH"
    )
    force_rebuild: bool = option(False, "build or pull images that are there already again", "repositories", switch)
    prune: bool = option(False, "remove each image that was pulled once its task is done", "repositories", switch)
    disk_floor: float = option(
        10.0, "gigabytes to keep free where images are; none is pulled below", "repositories", number(0), "GB"
    )
    max_steps: int = option(
        30, "steps of the react agent, a sample", "repositories", whole(1), "N", answers=True, newer=True
    )
    agent_tokens: int = option(
        400_000,
        "tokens that the react agent may read and write, a sample",
        "repositories",
        whole(1),
        "TOKENS",
        answers=True,
        newer=True,
    )
    agent_seconds: float = option(
        1800.0,
        "seconds that the react agent may take, a sample",
        "repositories",
        number(0, above=True),
        "SECONDS",
        answers=True,
        newer=True,
    )
    resume: bool = option(False, "go on with the newest unfinished run of this configuration", "results", switch)
    run_id: str | None = option(
        None, "id of the new run; with resume, of the run to go on with", "results", identifier, "ID"
    )
    sweep: str | None = option(None, "name of the sweep that the run belongs to", "results", identifier, "NAME")
    db: str = option(
        "experiments/results/results.db",
        "results database: a SQLite file, or postgresql://HOST/DATABASE",
        "results",
        some,
        "PATH",
    )
    fail_under: float | None = option(
        None, "least share solved, of the tasks judged, for status 0: 0.6 or 60%", "gates", share, "RATE"
    )
    fail_under_lower: bool = option(False, "ask it of the lower end of the rate's 95 % interval", "gates", switch)
    baseline: str | None = option(
        None, "run, or database file with one, that must not be shown to have solved more", "gates", some, "RUN"
    )
    max_regression: float | None = option(
        None, "points that may be lost against the baseline [default: 0]", "gates", number(0, 100), "POINTS"
    )
    max_errors: str | None = option(
        None, "tasks that may meet an error for status 0, 3 or 2% [default: none]", "gates", so_many, "N"
    )
    summary: str | None = option(None, "write a Markdown summary for a CI job's page", "gates", some, "FILE")

    @property
    def sampling_temperature(self) -> float:
        """The temperature that is asked of the model."""
        return effective_temperature(self.temperature, self.samples)

    @property
    def stored(self) -> dict[str, Any]:
        """The configuration as it is written to the database: JSON values, without credentials."""
        values = {o.name: getattr(self, attribute(o)) for o in OPTIONS}
        server = None if self.base_url is None else _url.without_credentials(self.base_url)
        given = self.solutions  # the database after a run's id may be an address with a password
        solutions = given.partition("@")[0] if given and given.startswith(RUN) else given
        places = {"base-url": server, "db": _url.shown(self.db), "solutions": solutions}
        return {**values, "bench": list(self.bench), "instance": list(self.instance), **places}

    @property
    def hashed(self) -> str:
        """Twelve hex digits over every option whose value may change a verdict."""
        import hashlib
        import json

        values = {o: getattr(self, attribute(o)) for o in OPTIONS if o.answers}
        answers = {o.name: value for o, value in values.items() if not (o.newer and value == o.default)}
        answers["temperature"] = self.sampling_temperature
        return hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:12]


def effective_temperature(asked: float | None, samples: int) -> float:
    """Unless one was asked for: greedy for one sample; samples that must differ need a temperature."""
    if asked is not None:
        return asked
    return 0.0 if samples == 1 else 0.8


def _kind(annotation: str) -> str:
    bare = annotation.removesuffix(" | None")
    return bare if bare in ("bool", "int", "float") else "string"


OPTIONS: tuple[Option, ...] = tuple(
    Option(f.name.replace("_", "-"), text, group, parse, f.default, metavar, answers, newer, _kind(str(f.type)))
    for f in fields(Settings)
    for text, group, parse, metavar, answers, newer in [f.metadata["option"]]
)


def attribute(opt: Option) -> str:
    """Name of an option's field of `Settings`."""
    return opt.name.replace("-", "_")
