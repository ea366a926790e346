"""A results database of four scripted runs whose truth is known: each figure of it was counted by hand.

| run | what |
|---|---|
| `Known.one` | granite3.3:2b, one sample, one attempt: solves tasks 0 to 7 |
| `Known.better` | granite3.3:8b, likewise: loses task 7, gains 8 to 16 |
| `Known.sampled` | qwen2.5-coder:7b, all of 5 samples: 59 of 120 pass |
| `Known.repaired` | granite3.3:8b, 3 samples of 3 attempts, first pass ends: solves 0 to 15, errors at 21, 22 |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mcode._rows import LETTERS
from pytest_mcode._types import Attempt, Completion, Execution, Message, Mode, Sample, Task, TaskResult, Verdict
from pytest_mcode.prompts import RECIPES, feedback, repair
from pytest_mcode.settings import Settings
from pytest_mcode.store import Run, Store

#: A task id with all that HTML, Markdown, CSV and a terminal take for their own.
ODD = 'odd/<b>"a, b"</b> |`\x1b[31mü\u202e'
TASKS = (*(f"HumanEval/{number}" for number in range(23)), ODD)
#: The completion of the first attempt of `Known.repaired` at `HOSTILE_TASK`, and a part of what its program printed.
HOSTILE_TASK = "HumanEval/6"
HOSTILE = (
    "</script><img src=x onerror=\"document.title='hacked'\"><!-- <script>document.title='hacked'</script>\n"
    "</pre></textarea></template><style>*{display:none}</style> &lt;b&gt; ]]> {{ 7*7 }} ${7*7}\x1b]0;hacked\x07\x00"
)
ONE, BETTER, SAMPLED, REPAIRED = (
    f"20251103-{hour}0000-{letters}"
    for hour, letters in ((10, "a1b2c3"), (11, "b4d5e6"), (12, "c7f8a9"), (13, "d0e1f2"))
)
FINGERPRINT = "3d" * 32
NO_SERVER = "The model server at http://localhost:11434 did not answer within 300 s: is it running?"
DIED = "The worker that ran this task died (signal 9): it may have run out of memory."
#: Seconds of an execution that is not stopped, and at which one is.
EXECUTION, TIMEOUT = 0.125, 2.0

#: Of each task: what the attempts came to, in the letters of a tally, a column a run.
SCRIPT = """
p  p  p,p,p,p,p  p
p  p  p,p,p,p,p  p
p  p  p,p,p,p,p  p
p  p  p,p,p,p,p  p
p  p  p,p,p,p,p  p
p  p  p,p,p,p,f  p
p  p  p,p,p,f,p  fp
p  f  p,p,f,p,p  tp
f  p  f,p,p,p,p  ffp
f  p  p,p,p,f,f  nfp
f  p  f,p,p,p,f  fff,p
f  p  p,f,t,p,p  ftc,p
f  p  p,p,f,f,f  fff,fp
f  p  f,f,p,p,f  fff,nfp
f  p  p,f,f,f,p  fff,fff,p
f  p  p,f,f,f,f  fff,fff,ffp
f  p  f,f,f,f,p  fff,fff,fff
t  t  t,p,t,t,t  ttt,ttt,ttt
c  c  c,c,c,c,c  ccc,ccc,ccc
n  n  n,n,n,n,n  nnn,fff,tcf
f  f  f,f,f,f,f  fff,fff,fff
f  f  f,f,f,f,f  e
f  f  f,f,f,f,f  -
f  f  f,f,f,f,f  fff,fff,fff
"""

#: Of each task: the function, what it says, an expression that is right and one that is wrong, and a test.
PROBLEMS = (
    ("add(x, y)", "Return the sum of x and y.", "x + y", "x - y", "add(2, 3) == 5"),
    ("is_even(n)", "Tell whether n is even.", "n % 2 == 0", "n % 2", "is_even(4) is True"),
    ("last(items)", "Return the last of the items.", "items[-1]", "items[0]", "last([1, 2]) == 2"),
    ("double(x)", "Return twice x.", "2 * x", "x ** 2", "double(3) == 6"),
    ("vowels(s)", "Count the vowels of s.", "sum(c in 'aeiou' for c in s)", "len(s)", "vowels('hello') == 2"),
    ("mean(xs)", "Return the mean of xs.", "sum(xs) / len(xs)", "sum(xs) // len(xs)", "mean([1, 2]) == 1.5"),
    ("reverse(s)", "Return s backwards.", "s[::-1]", "s", "reverse('ab') == 'ba'"),
    ("clamp(x, a, b)", "Keep x from a to b.", "max(a, min(b, x))", "min(a, max(b, x))", "clamp(7, 0, 5) == 5"),
    ("unique(xs)", "Return xs sorted, each once.", "sorted(set(xs))", "list(xs)", "unique([2, 1, 2]) == [1, 2]"),
    ("initials(s)", "Join first letters.", "''.join(w[0] for w in s.split())", "s[0]", "initials('a b') == 'ab'"),
    ("power(x, n)", "Return x to the n.", "x ** n", "x * n", "power(2, 5) == 32"),
    ("flat(xss)", "Put lists into one.", "[x for xs in xss for x in xs]", "xss", "flat([[1], [2]]) == [1, 2]"),
    ("digits(n)", "Return the sum of the digits of n.", "sum(map(int, str(n)))", "n % 10", "digits(123) == 6"),
    ("largest(xs)", "Return the largest of xs.", "max(xs)", "xs[0]", "largest([1, 3, 2]) == 3"),
    ("words(s)", "Count the words of s.", "len(s.split())", "s.count(' ')", "words('a b c') == 3"),
    ("swap(pair)", "Swap a pair.", "(pair[1], pair[0])", "pair", "swap((1, 2)) == (2, 1)"),
    ("celsius(f)", "Convert Fahrenheit.", "(f - 32) * 5 / 9", "f - 32 * 5 / 9", "celsius(212) == 100"),
    ("zeros(n)", "Count zeros at the end of n!.", "sum(n // 5 ** k for k in range(1, 20))", "n // 5", "zeros(25) == 6"),
    ("common(a, b)", "Return what both hold, sorted.", "sorted(set(a) & set(b))", "a", "common([2, 1], [2]) == [2]"),
    ("title(s)", "Capitalise each word.", "s.title()", "s.upper()", "title('ab c') == 'Ab C'"),
    ("prime(n)", "Is n prime?", "n > 1 and all(n % d for d in range(2, n))", "n % 2 == 1", "prime(9) is False"),
    ("gcd(a, b)", "Greatest common divisor.", "a if b == 0 else gcd(b, a % b)", "min(a, b)", "gcd(8, 12) == 4"),
    ("count(s, c)", "Count c in s.", "s.count(c)", "s.find(c)", "count('aab', 'a') == 2"),
    ("evens(xs)", "Return the even ones of xs.", "[x for x in xs if x % 2 == 0]", "xs", "evens([1, 2]) == [2]"),
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What a run comes to, counted by hand; rates are from 0 to 1, None where they cannot be known.

    Attributes:
        solved: Tasks solved.
        judged: Tasks judged, which are the denominator.
        errors: Tasks that could not be judged.
        pass_at: pass@k by k: the unbiased estimate for `Known.sampled`, else success within k.
        pass_hat: pass^k by k.
        within: solve@budget by samples and attempts.
        samples: How many samples came to what.
        prompt_tokens: Over all attempts.
        completion_tokens: Likewise.
        generation_seconds: Added up.
        execution_seconds: Added up.
        seconds: Of all tasks, added up.
    """

    solved: int
    judged: int
    errors: int
    pass_at: Mapping[int, float | None]
    pass_hat: Mapping[int, float | None]
    within: Mapping[tuple[int, int], float | None]
    samples: Mapping[Verdict, int]
    prompt_tokens: int
    completion_tokens: int
    generation_seconds: float
    execution_seconds: float
    seconds: float


P, F, T, C, N, E = LETTERS
TRUTHS = {
    ONE: Truth(
        solved=8, judged=24, errors=0,
        pass_at={1: 8 / 24, 2: None}, pass_hat={1: 8 / 24, 2: None}, within={(1, 1): 8 / 24, (2, 1): None},
        samples={P: 8, F: 13, T: 1, C: 1, N: 1},
        prompt_tokens=2_400, completion_tokens=1_200,
        generation_seconds=24.0, execution_seconds=22 * EXECUTION + TIMEOUT, seconds=28.75,
    ),
    BETTER: Truth(
        solved=16, judged=24, errors=0,
        pass_at={1: 16 / 24, 2: None}, pass_hat={1: 16 / 24, 2: None}, within={(1, 1): 16 / 24, (2, 1): None},
        samples={P: 16, F: 5, T: 1, C: 1, N: 1},
        prompt_tokens=2_400, completion_tokens=1_440,
        generation_seconds=48.0, execution_seconds=22 * EXECUTION + TIMEOUT, seconds=52.75,
    ),
    SAMPLED: Truth(  # 5 passes on 5 tasks, 4 on 4, 3, 2 and 1 on 3 each, none on 6
        solved=18, judged=24, errors=0,
        pass_at={1: 59 / 120, 2: 15 / 24, 5: 18 / 24, 6: None},
        pass_hat={1: 59 / 120, 2: 8.6 / 24, 5: 5 / 24, 6: None},
        within={(1, 1): 13 / 24, (2, 1): 16 / 24, (3, 1): 17 / 24, (4, 1): 17 / 24, (5, 1): 18 / 24, (1, 2): None},
        samples={P: 59, F: 46, T: 5, C: 5, N: 5},
        prompt_tokens=12_000, completion_tokens=4_800,
        generation_seconds=120.0, execution_seconds=110 * EXECUTION + 5 * TIMEOUT, seconds=143.75,
    ),
    REPAIRED: Truth(  # 105 completions: 42 first attempts, 33 second, 30 third; 5 without code, 12 stopped
        solved=16, judged=22, errors=2,
        pass_at={1: 6 / 22, 2: None, 3: None}, pass_hat={1: None, 3: None},
        within={
            (1, 1): 6 / 22, (1, 2): 8 / 22, (1, 3): 10 / 22,
            (2, 1): None, (2, 2): None, (2, 3): 14 / 22,
            (3, 1): None, (3, 2): None, (3, 3): 16 / 22,
        },
        samples={P: 16, F: 18, T: 3, C: 4, N: 1, E: 1},
        prompt_tokens=42 * 100 + 33 * 200 + 30 * 300, completion_tokens=6_300,
        generation_seconds=210.0, execution_seconds=88 * EXECUTION + 12 * TIMEOUT, seconds=246.0,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Known:
    """The database and its truth.

    Attributes:
        path: The SQLite file.
        one: Id of the run with one sample of one attempt.
        better: Id of the run of the same configuration with a better model.
        sampled: Id of the run with 5 samples, all drawn.
        repaired: Id of the run with 3 samples of 3 attempts that stops at the first pass; it is the newest.
        tasks: The ids of all tasks, in their natural order.
        odd: The last of them, with all that HTML, Markdown, CSV and a terminal take for their own.
        truths: By the run's id.
        gained: The tasks that ``better`` solves and ``one`` does not.
        lost: The tasks that ``one`` solves and ``better`` does not.
        p_value: Exact McNemar of ``one`` and ``better``: 9 against 1.
    """

    path: str
    one: str = ONE
    better: str = BETTER
    sampled: str = SAMPLED
    repaired: str = REPAIRED
    tasks: tuple[str, ...] = TASKS
    odd: str = ODD
    truths: Mapping[str, Truth] = field(default_factory=lambda: TRUTHS)
    gained: tuple[str, ...] = TASKS[8:17]
    lost: tuple[str, ...] = TASKS[7:8]
    p_value: float = 2 * (1 + 10) / 2**10


@dataclass(frozen=True)
class Scripted:
    """A run: its settings, and the tokens and seconds of each of its completions."""

    id: str
    settings: Settings
    tokens: int
    seconds: float


RUNS = (
    Scripted(ONE, Settings(model="granite3.3:2b", bench=("humaneval",), timeout=TIMEOUT), 50, 1.0),
    Scripted(BETTER, Settings(model="granite3.3:8b", bench=("humaneval",), timeout=TIMEOUT), 60, 2.0),
    Scripted(
        SAMPLED,
        Settings(model="qwen2.5-coder:7b", bench=("humaneval",), timeout=TIMEOUT, samples=5, all_samples=True),
        40,
        1.0,
    ),
    Scripted(
        REPAIRED,
        Settings(model="granite3.3:8b", bench=("humaneval",), timeout=TIMEOUT, samples=3, debug_iters=2),
        60,
        2.0,
    ),
)


def build(path: Path) -> Known:
    """Make the database."""
    columns = zip(*(line.split() for line in SCRIPT.strip().splitlines()), strict=True)
    with closing(Store(str(path))) as store:
        for scripted, column in zip(RUNS, columns, strict=True):
            store.begin(row(scripted))
            for number, letters in enumerate(column):
                store.put(scripted.id, result(scripted, number, letters))
            store.finish(scripted.id)
    return Known(str(path))


def row(scripted: Scripted) -> Run:
    """The row of a run; it started at the time that its id tells."""
    settings, when = scripted.settings, scripted.id
    return Run(
        id=scripted.id,
        benchmark="humaneval",
        model=settings.model,
        backend="ollama",
        config=settings.stored,
        config_hash=settings.hashed,
        dataset_fingerprint=FINGERPRINT,
        planned=len(TASKS),
        started_at=f"2025-11-03T{when[9:11]}:00:00.000+00:00",
        finished_at=None,
        versions={"pytest-mcode": "0.1.0", "mellea": "0.8.0", "python": "3.12.4", "ollama": "0.12.3"},
    )


def task(number: int) -> Task:
    """A task as its data set has it."""
    signature, says, right, _, test = PROBLEMS[number]
    prompt = f'def {signature}:\n    """{says}"""\n'
    entry_point = signature.partition("(")[0]
    return Task(TASKS[number], prompt, f"assert {test}\n", entry_point, f"{prompt}    return {right}\n")


def result(scripted: Scripted, number: int, letters: str) -> TaskResult:
    """One task: its samples' letters have commas between; a dash is a task that could not be run at all."""
    if letters == "-":
        return TaskResult(TASKS[number], (), 0.5, fault=DIED)
    drawn = tuple(
        Sample(index, scripted.settings.seed + index, tuple(attempts(scripted, number, its)))
        for index, its in enumerate(letters.split(","))
    )
    if number == TASKS.index(HOSTILE_TASK) and scripted.id == REPAIRED:
        drawn = hostile(drawn)
    made = [attempt for sample in drawn for attempt in sample.attempts]
    seconds = sum(a.completion.seconds for a in made if a.completion) + sum(
        a.execution.seconds for a in made if a.execution
    )
    return TaskResult(TASKS[number], drawn, seconds or 0.5)


def attempts(scripted: Scripted, number: int, letters: str) -> Iterator[Attempt]:
    """The attempts of one sample: each is sent what came before it."""
    turns = RECIPES["evalplus"](task(number)).messages
    for index, letter in enumerate(letters):
        made = attempt(scripted, number, index, letter, turns)
        yield made
        if made.completion:
            told = feedback("tests", made.verdict, made.execution, TIMEOUT)
            turns = (*turns, Message("assistant", made.completion.text), repair(told))


def attempt(scripted: Scripted, number: int, index: int, letter: str, turns: Sequence[Message]) -> Attempt:
    """One attempt: right if its letter says so, else wrong in the way that the letter says."""
    verdict = {its: verdict for verdict, its in LETTERS.items()}[letter]
    if verdict is Verdict.ERROR:
        return Attempt(index, verdict, error=NO_SERVER)
    code = written(number, verdict)
    completion = Completion(
        text=f"Here is a solution:\n\n```python\n{code}```\n" if code else "I am not sure what is asked for.",
        thinking="The user wants a function." if index else "",
        prompt=tuple(turns),
        prompt_tokens=100 * (1 + index),
        completion_tokens=scripted.tokens,
        finish_reason="length" if verdict is Verdict.TRUNCATED else "stop",
        seconds=scripted.seconds,
    )
    return Attempt(index, verdict, completion, code, execution(number, verdict) if code else None)


def written(number: int, verdict: Verdict) -> str | None:
    """The code of an attempt with that verdict."""
    signature, says, right, wrong, _ = PROBLEMS[number]
    head = f'def {signature}:\n    """{says}"""\n'
    bodies = {
        Verdict.PASSED: f"{head}    return {right}\n",
        Verdict.FAILED: f"{head}    return {wrong}\n",
        Verdict.TIMEOUT: f"{head}    while True:\n        pass\n",
        Verdict.TRUNCATED: f"{head}    return (\n",
    }
    return bodies.get(verdict)


def execution(number: int, verdict: Verdict) -> Execution:
    """What the sandbox saw of it."""
    test = PROBLEMS[number][-1]
    traceback = f'Traceback (most recent call last):\n  File "tests.py", line 1, in <module>\n    assert {test}\n'
    cut = "  File \"solution.py\", line 3\n    return (\n           ^\nSyntaxError: '(' was never closed\n"
    if verdict is Verdict.PASSED:
        return Execution(passed=True, stdout="checked\n", seconds=EXECUTION, mode=Mode.ISOLATED)
    if verdict is Verdict.TIMEOUT:
        return Execution(
            passed=False, timed_out=True, phase="tests", exit_code=None, seconds=TIMEOUT, mode=Mode.ISOLATED
        )
    phase, told = ("tests", f"{traceback}AssertionError\n") if verdict is Verdict.FAILED else ("solution", cut)
    return Execution(
        passed=False, phase=phase, exit_code=1, stdout="checking …\n", stderr=told, seconds=EXECUTION,
        mode=Mode.ISOLATED,
    )  # fmt: skip


def hostile(drawn: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples, of which the first attempt is hostile in all its texts."""
    first, *rest = drawn[0].attempts
    assert first.completion is not None
    assert first.execution is not None
    completion = Completion(
        text=HOSTILE,
        thinking=HOSTILE,
        prompt=first.completion.prompt,
        prompt_tokens=first.completion.prompt_tokens,
        completion_tokens=first.completion.completion_tokens,
        finish_reason="stop",
        seconds=first.completion.seconds,
    )
    seen = Execution(
        passed=False, phase="tests", exit_code=1, stdout=HOSTILE, stderr=HOSTILE, seconds=first.execution.seconds,
        mode=Mode.ISOLATED,
    )  # fmt: skip
    changed = Attempt(0, first.verdict, completion, HOSTILE, seen)
    return (Sample(drawn[0].index, drawn[0].seed, (changed, *rest)), *drawn[1:])
