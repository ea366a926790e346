from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mcode import _wire
from pytest_mcode._types import Attempt, Completion, Execution, Message, Mode, Sample, TaskResult, Verdict
from tests.drawn import SECONDS, completions, executions

TEXTS = st.text(st.characters(codec=None))
ATTEMPTS = st.builds(
    Attempt,
    st.integers(0),
    st.sampled_from(Verdict),
    st.none() | completions(TEXTS, st.integers(0)),
    st.none() | TEXTS,
    st.none() | executions(TEXTS),
    TEXTS,
)
SAMPLES = st.builds(Sample, st.integers(0), st.integers(), st.lists(ATTEMPTS, min_size=1, max_size=2).map(tuple))
RESULTS = st.builds(TaskResult, TEXTS, st.lists(SAMPLES, max_size=2).map(tuple), SECONDS, TEXTS)


@settings(max_examples=50, deadline=None)
@given(RESULTS)
def test_a_result_arrives_as_it_was_sent(result: TaskResult) -> None:
    arrived = _wire.load(_wire.dump(result))
    assert arrived == result
    assert hash(arrived) == hash(result)
    assert arrived.status is result.status
    for sent, got in zip(result.samples, arrived.samples, strict=True):
        for before, after in zip(sent.attempts, got.attempts, strict=True):
            assert type(after.verdict) is Verdict
            assert before.execution is None or type(after.execution and after.execution.mode) is Mode


@pytest.mark.parametrize("text", ["lone \ud800 surrogate", "null \x00", "\x1b[31m", "ü\u2028\U0001f600"])
def test_whatever_a_model_wrote_is_sent_as_plain_ascii(text: str) -> None:
    completion = Completion(text, thinking=text, prompt=(Message("user", text),))
    attempt = Attempt(0, Verdict.FAILED, completion, text, Execution(passed=False, stdout=text, stderr=text))
    result = TaskResult(text, (Sample(0, 0, (attempt,)),), 1.5)
    assert _wire.dump(result).isascii()
    assert "\x00" not in _wire.dump(result)
    assert _wire.load(_wire.dump(result)) == result
