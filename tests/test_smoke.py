from __future__ import annotations

import doctest
from typing import Any

import pytest

from benchmarks import test_smoke as smoke
from pytest_mcode import Task

#: Slips that a hurried programmer might make, as edits of the reference solution: (right, wrong).
SLIPS: dict[str, list[tuple[str, str]]] = {
    "seat_label": [
        ("{row + 1:02d}", "{row:02d}"),
        ("{row + 1:02d}", "{row + 1}"),
        ("{row + 1:02d}", "0{row + 1}"),
        ("divmod(index, per_row)", "divmod(index + 1, per_row)"),
    ],
    "average_speed": [
        ("distance / hours", "sum(speed for _, speed in legs) / len(legs)"),
        ("distance / hours", "sum(km * speed for km, speed in legs) / distance"),
        ("distance / hours", "round(distance / hours, 1)"),
    ],
    "merge_orders": [
        ("> 0", ">= 0"),
        ("> 0", "!= 0"),
        ("sorted(totals)", "totals"),
        ("totals.get(item, 0) + quantity", "max(totals.get(item, 0) + quantity, 0)"),
        ("totals: dict[str, int] = {}", "totals = orders[0] if orders else {}"),
    ],
    "apply_moves": [
        ("deck.insert(target, deck.pop(source))", "deck.insert(target, deck[source]); deck.remove(deck[source])"),
        ("deck.insert(target, deck.pop(source))", "deck[source], deck[target] = deck[target], deck[source]"),
        ("for source, target in moves:", "deck = deck[:]\n    for source, target in moves:"),
    ],
    "sets_won": [
        ("or int(left) == int(right)", ""),
        ("int(left) == int(right)", "left == right"),
        ("int(left) > int(right)", "left > right"),
        ('score.split(" ")', "score.split()"),
    ],
    "stamp": [
        ("row[:] for row in canvas", "row for row in canvas"),
        ("if ink and", "if"),
        ("0 <= y < len(canvas)", "y < len(canvas)"),
        ("0 <= x < len(canvas[y])", "x < len(canvas[y])"),
        ("x < len(canvas[y])", "x < len(canvas)"),
        ("if ink and", "if ink > 0 and"),
    ],
    "number_headings": [
        ("[*counts, 0][:level]", "[*counts, 0]"),
        ("[*counts, 0][:level]", "(counts + [0])[:max(level, len(counts))]"),
        ("not space or ", ""),
        (" or marks.strip('#')".replace("'", '"'), ""),
        ("title.strip()", "title"),
    ],
    "free_slots": [
        ("sorted(busy)", "busy"),
        ("max(start, taken.end)", "taken.end"),
        ("min(taken.start, day.end)", "taken.start"),
        ("start < end", "start <= end"),
        ("free.append(Slot(start, end))", "free.append((start, end))"),
    ],
    "read_telegrams": [
        ('line[1:].rpartition("*")', '(line[1:].partition("*"))'),
        (':02d}"', '}"'),
        ('digits == f"{checksum(body):02d}"', "int(digits or -1) == checksum(body)"),
        ('line == f"${body}*{digits}" and ', ""),
    ],
    "island_date": [
        ("year % 4", "(year - 1) % 4"),
        ("while days >=", "while days >"),
        ("year % 4 == 0", "year % 4 == 0 and (year % 100 or year % 400 == 0)"),
        ("days // 30 + 1", "min(days // 30 + 1, 12)"),
        ("if days < 0", "if False"),
    ],
    "set_field": [
        ("0 <= value < 1 << width", "0 <= value <= 1 << width"),
        ("0 <= value < 1 << width", "value < 1 << width"),
        ("(word & ~(mask << low))", "word"),
        ("(word & ~(mask << low))", "(word & ~mask)"),
        ("return (word >> low) & ((1 << width) - 1)", "return word >> low"),
    ],
    "loads": [
        ("sum(load) + parcel > limit", "sum(load) + parcel >= limit"),
        ("if parcel > limit", "if parcel >= limit"),
        ("if parcel > limit", "if False"),
        ("load = []\n        load.append", "load.clear()\n        load.append"),
        ("    if load:\n        yield load\n", ""),
        ("for parcel in parcels", "for parcel in list(__import__('itertools').islice(parcels, 99))"),
    ],
    "raw_materials": [
        ("count * each", "each"),
        ("needed.get(material, 0) + number", "number"),
        ("return {item: count}", "return {item: 1}"),
        ("if item not in recipes", "if not recipes.get(item)"),
    ],
    "Box": [
        ("min(a, b, c) < 1", "min(a, b, c) < 0"),
        ("sorted((a, b, c))", "[a, b, c]"),
        ("isinstance(other, Box) and self.sides", "self.sides"),
        ("self.sides == other.sides", "self.volume == other.volume"),
        ("hash(tuple(self.sides))", "id(self)"),
        ("inner <= outer", "inner < outer"),
        (
            "all(inner <= outer for inner, outer in zip(other.sides, self.sides, strict=True))",
            "other.volume <= self.volume",
        ),
    ],
    "Gauge": [
        ("self.squares += distance * (value - self.centre)", "self.squares += distance**2"),
        ("return self.squares / self.count", "return self.squares / max(self.count - 1, 1)"),
        ("distance * other.count / count", "distance / 2"),
        (" + distance**2 * self.count * other.count / count", ""),
        ("if not count:\n            return Gauge()", "pass"),
        ("return Gauge(count, mean, squares)", "self.__init__(count, mean, squares)\n        return self"),
        ('raise ValueError("no numbers yet")\n        return self.centre', "return 0.0\n        return self.centre"),
    ],
    "RecentMap": [
        ("value = self.entries.pop(key)\n        self.entries[key] = value", "value = self.entries[key]"),
        ("self.entries.pop(key, None)", "pass"),
        ("== self.capacity", "> self.capacity"),
        ("next(iter(self.entries))", "next(reversed(self.entries))"),
        ("return key in self.entries", "return key in self.entries and [self[key]] != []"),
        ("value = self.entries.pop(key)", "value = self.entries.pop(key, None)"),
        ("capacity < 1", "capacity < 0"),
    ],
    "ferry_route": [
        ("(minutes + ferry.minutes, ", "(minutes + 1, "),
        ("heapq.heappop(reached)", "reached.pop(0)"),
        (
            "if ferry.origin == port:",
            "if ferry.origin == port and ferry.target not in done and not done.add(ferry.target):",
        ),
        ('raise ValueError(f"no route from {start} to {goal}")', "return []"),
        ("if port == goal", "if port == goal and len(route) > 1"),
    ],
    "cross_stream": [
        ("leapt = stepped, min", "leapt = min(stepped, leapt), min"),
        ("before + leap + effort", "before + leap"),
        ("[*stones, 0]", "stones"),
        ("return min(stepped, leapt)", "return stepped"),
        ("min(stepped, leapt) + effort", "stepped + effort"),
    ],
    "evaluate": [
        ("value += sign * product(tokens, names)", "value += sign * total(tokens, names)"),
        ("max(value, total(tokens, names))", "value | total(tokens, names)"),
        ("max(value, total(tokens, names))", "max(value, product(tokens, names))"),
        ("value = product(tokens, names)", "value = factor(tokens, names)"),
        ("return -factor(tokens, names)", "return -total(tokens, names)"),
        ("    if tokens:\n", "    if False:\n"),
        ('if not tokens or tokens.pop() != ")"', "if tokens and not tokens.pop()"),
        (r"[0-9]+|[a-z]+|\S", r"[0-9]+|[a-z]+|[-+*|()]"),
    ],
    "expand": [
        ("return value(target, (*pending, name))", "return settings[target]"),
        ("if name in pending", "if len(pending) > 1"),
        ("if not colon", "if not fallback"),
        ("if target in settings", "if settings.get(target)"),
        ("settings[name])\n", "settings[name], count=1)\n"),
        ("            if not colon:\n", "            if False:\n"),
    ],
}

EDITS = [pytest.param(name, edit, id=f"{name}-{n}") for name, edits in SLIPS.items() for n, edit in enumerate(edits)]
BY_NAME = {task.entry_point: task for task in smoke.TASKS}

each_task = pytest.mark.parametrize("task", smoke.TASKS, ids=list(BY_NAME))


def execute(*sources: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    for source in sources:
        exec(compile(source, "smoke", "exec", dont_inherit=True), namespace)
    return namespace


def passes(solution: str, task: Task) -> bool:
    try:
        execute(solution, task.tests)
    except Exception:  # noqa: BLE001 - a wrong solution may raise anything
        return False
    return True


def test_there_are_twenty_tasks_numbered_in_their_order() -> None:
    assert [task.id for task in smoke.TASKS] == [f"smoke/{number}" for number in range(20)]
    assert len(BY_NAME) == 20


@each_task
def test_the_reference_passes_its_tests(task: Task) -> None:
    assert passes(task.reference, task)


@each_task
def test_the_prompt_without_a_solution_does_not_pass(task: Task) -> None:
    compile(task.prompt, task.id, "exec")
    assert not passes(task.prompt, task)


@each_task
def test_the_examples_of_the_prompt_are_what_the_reference_does(task: Task) -> None:
    namespace = execute(task.reference)
    shown = doctest.DocTestParser().get_doctest(namespace[task.entry_point].__doc__, namespace, task.id, None, 0)
    results = doctest.DocTestRunner().run(shown)
    assert results.attempted >= 1
    assert results.failed == 0


@each_task
def test_a_model_sees_neither_the_solution_nor_the_tests(task: Task) -> None:
    assert task.prompt.rstrip().endswith('"""')
    assert "# solution" not in task.reference
    assert "check" not in task.prompt.replace("checksum", "")
    assert task.tests.startswith("def check(candidate):\n")
    assert task.tests.endswith(f"\n\ncheck({task.entry_point})\n")


def test_five_prompts_show_what_a_solution_may_rely_on() -> None:
    shown = [task.entry_point for task in smoke.TASKS if task.preamble]
    assert shown == ["free_slots", "read_telegrams", "loads", "RecentMap", "ferry_route"]


@pytest.mark.parametrize("name", ["free_slots", "read_telegrams", "ferry_route"])
def test_a_solution_that_relies_on_it_does_not_pass_without(name: str) -> None:
    task = BY_NAME[name]
    assert not passes(task.reference.removeprefix(task.preamble), task)


@pytest.mark.parametrize("name", list(BY_NAME))
def test_every_task_has_slips_to_catch(name: str) -> None:
    assert len(SLIPS[name]) >= 2


@pytest.mark.parametrize(("name", "edit"), EDITS)
def test_a_slip_is_caught(name: str, edit: tuple[str, str]) -> None:
    right, wrong = edit
    task = BY_NAME[name]
    solution = task.reference.removeprefix(task.prompt)
    assert solution.count(right) == 1
    slipped = task.prompt + solution.replace(right, wrong)
    compile(slipped, name, "exec")
    assert not passes(slipped, task)
