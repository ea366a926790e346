"""``--mcode-solutions``: tasks are answered with what was written before or elsewhere; no model is asked.

The samples are laid out once by the process that the user started, in a directory that every process of the session
reads: a line of JSON a sample, and an index, so that of very many none but those of the task at hand are in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from pytest_mcode._errors import DataError, ModelError
from pytest_mcode._parse import nearest
from pytest_mcode._rows import storable
from pytest_mcode._source import parsed
from pytest_mcode._types import Attempt, Completion, Judge, Message, Prompt, Task, Verdict
from pytest_mcode.settings import SAMPLES, Settings

_LINES, _INDEX = "samples.jsonl", "index.json"
#: What ends a sample.
_LAST = (Verdict.PASSED, Verdict.ERROR)


class Kind(StrEnum):
    """What the texts are that were given."""

    SOLUTION = "solution"
    """Whole programs: executed as they stand."""
    COMPLETION = "completion"
    """What goes on where the prompt ends, as a base model writes it, or else an answer."""
    ANSWER = "answer"
    """What a model answered in a chat: the solution is taken out of it."""


@dataclass(frozen=True)
class Drawn:
    """One sample that was given.

    Attributes:
        task_id: As it was given.
        attempts: Its completions in order; a sentence in place of one that there never was.
        place: Where it was found, in words.
    """

    task_id: str
    attempts: Sequence[Completion | str]
    place: str


@dataclass(frozen=True)
class Origin:
    """Where samples come from, and what is known of them.

    Attributes:
        kind: What their texts are.
        model: Who wrote them, unless the user says otherwise.
        backend: Through what.
        options: Settings that they were made with, by their attribute.
        facts: What a run stores of them.
        told: Where they come from, in words.
    """

    kind: Kind
    model: str
    backend: str
    options: Mapping[str, Any]
    facts: Mapping[str, str]
    told: str


@dataclass(frozen=True)
class Given:
    """Samples as they were laid out.

    Attributes:
        directory: Where.
        origin: Where they come from.
        tasks: The offset of each task's samples, in order.
        places: Where the first sample of each task was found.
    """

    directory: Path
    origin: Origin
    tasks: Mapping[str, Sequence[int]]
    places: Mapping[str, str]

    def __contains__(self, task_id: str) -> bool:
        """Whether there is a sample of that task."""
        return storable(task_id) in self.tasks

    def require_known(self, task_ids: Collection[str], benchmark: str) -> None:
        """Refuse samples of a task that the benchmark does not have.

        Raises:
            DataError: There is one; the message says where it was found.
        """
        known = {storable(task_id) for task_id in task_ids}
        for task_id, place in self.places.items():
            if task_id not in known:
                raise DataError(unknown(place, task_id, benchmark, known))

    def suited(self, settings: Settings, task: Task) -> Settings:
        """The settings with as many samples as there are of a task."""
        return replace(settings, samples=min(settings.samples, len(self.tasks.get(storable(task.id), (0,)))))

    def attempts(self, task_id: str, sample: int) -> list[Completion | str]:
        """Read the attempts of one sample; none if there is no such sample.

        Raises:
            DataError: The directory was changed meanwhile.
        """
        offsets = self.tasks.get(storable(task_id), ())
        if sample >= len(offsets):
            return []
        try:
            with (self.directory / _LINES).open("rb") as lines:
                lines.seek(offsets[sample])
                return [one if isinstance(one, str) else _completion(one) for one in json.loads(lines.readline())]
        except (OSError, ValueError) as error:
            raise DataError(f"The samples in {self.directory} were changed meanwhile ({error}): run again.") from error


#: The samples of a session whose solutions are given.
GIVEN = pytest.StashKey[Given]()


def unknown(place: str, task_id: str, benchmark: str, known: Collection[str]) -> str:
    """The sentence on a task that the benchmark does not have."""
    some = next(iter(known), "")
    hint = nearest(task_id, known) or f" (its ids are like {some!r})"
    return f"{place}: {benchmark} has no task {task_id!r}{hint}: is it the right benchmark and split?"


def lay_out(directory: Path, origin: Origin, samples: Iterable[Drawn]) -> Given:
    """Write samples down, in the order in which they come.

    Raises:
        DataError: There is none, or there are too many of one task; or what reading them raises.
    """
    tasks: dict[str, list[int]] = {}
    places: dict[str, str] = {}
    digest, offset = hashlib.sha256(), 0
    with (directory / _LINES).open("wb") as lines:
        for drawn in samples:
            task_id = storable(drawn.task_id)
            line = json.dumps([one if isinstance(one, str) else asdict(one) for one in drawn.attempts]).encode() + b"\n"
            digest.update(task_id.encode() + b"\0" + line)
            lines.write(line)
            tasks.setdefault(task_id, []).append(offset)
            places.setdefault(task_id, drawn.place)
            offset += len(line)
            if len(tasks[task_id]) > SAMPLES:
                raise DataError(f"{drawn.place}: there are more than {SAMPLES} samples of task {task_id}.")
    if not tasks:
        raise DataError(f"There is no sample in {origin.told}.")
    given = Given(directory, _counted(origin, tasks, digest.hexdigest()), tasks, places)
    (directory / _INDEX).write_text(json.dumps({**asdict(given), "directory": ""}), encoding="ascii")
    return given


def _counted(origin: Origin, tasks: Mapping[str, Sequence[int]], digest: str) -> Origin:
    """The origin with what its samples tell: how many there are, and what they are."""
    counts = sorted({len(offsets) for offsets in tasks.values()})
    numbers = {"samples": counts[-1], "all_samples": len(counts) == 1 and counts[0] > 1}
    often = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    told = f"{origin.told}: {len(tasks)} tasks, {often} sample{'' if often == '1' else 's'} each"
    facts = {"solutions": told, "solutions_kind": origin.kind.value, "solutions_digest": digest, **origin.facts}
    return replace(origin, options={**numbers, **origin.options}, facts=facts, told=told)


def read(directory: Path) -> Given:
    """Samples that another process has laid out."""
    index = json.loads((directory / _INDEX).read_text(encoding="ascii"))
    origin = index["origin"]
    return Given(directory, Origin(**{**origin, "kind": Kind(origin["kind"])}), index["tasks"], index["places"])


def _completion(raw: Mapping[str, Any]) -> Completion:
    return Completion(**{**raw, "prompt": tuple(Message(**turn) for turn in raw["prompt"])})


class GivenSolver:
    """Answers with the samples that were given: number n of a task for the seed n after the first.

    Args:
        given: The samples.
        first: The seed of the first.
    """

    def __init__(self, given: Given, first: int) -> None:
        self._given, self._first = given, first

    async def sample(
        self,
        task: Task,
        prompt: Prompt,  # noqa: ARG002 - what was sent is with the completion, if it is known
        judge: Judge,
        *,
        seed: int,
    ) -> tuple[Attempt, ...]:
        """Judge the attempts as they were given, to the first that passes; see `pytest_mcode._types.Solver`."""
        judged: list[Attempt] = []
        for number, one in enumerate(self._given.attempts(task.id, seed - self._first)):
            if isinstance(one, str):
                judged.append(Attempt(number, Verdict.ERROR, error=one))
            else:
                code = code_in(self._given.origin.kind, task, one.text)
                judged.append((await judge(number, replace(one, code=code))).attempt)
            if judged[-1].verdict in _LAST:
                break
        return tuple(judged)

    async def act(self, task: Task, goal: str, tools: Sequence[Callable[..., str]], *, seed: int) -> Completion:  # noqa: ARG002 - a solver's signature
        """Nobody is there to act.

        Raises:
            ModelError: Always.
        """
        raise ModelError("Solutions were given, and no model is asked: leave out --mcode-agent.")

    async def aclose(self) -> None:
        """Nothing is open."""


def code_in(kind: Kind, task: Task, text: str) -> str | None:
    """The program that a text is as it stands; None where it is an answer, out of which code has to be taken.

    A solution that does not parse and has a fence is the answer of a chat, which some tools store as one. A completion
    goes on with the prompt if its first line is indented and both together parse.
    """
    if kind is Kind.ANSWER or not text.strip():
        return None
    if kind is Kind.SOLUTION:
        return None if "```" in text and parsed(text)[0] is None else text
    begins_indented = next(line for line in text.split("\n") if line.strip())[0].isspace()
    whole = task.prompt + text
    return whole if begins_indented and parsed(whole)[0] else None
