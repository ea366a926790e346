"""Strategies for what a run finds, for properties that hold of any of it."""

from __future__ import annotations

from hypothesis import strategies as st

from pytest_mcode._types import Completion, Execution, Message, Mode

Texts = st.SearchStrategy[str]

SECONDS = st.floats(0, 1e9)


def completions(texts: Texts, counts: st.SearchStrategy[int]) -> st.SearchStrategy[Completion]:
    """Any completion with these texts and numbers of tokens."""
    return st.builds(
        Completion,
        text=texts,
        thinking=texts,
        prompt=st.lists(st.builds(Message, texts, texts), max_size=2).map(tuple),
        prompt_tokens=st.none() | counts,
        completion_tokens=st.none() | counts,
        finish_reason=st.none() | texts,
        seconds=SECONDS,
        tries=st.integers(1, 9),
    )


def executions(texts: Texts) -> st.SearchStrategy[Execution]:
    """Any execution with these texts."""
    return st.builds(
        Execution,
        passed=st.booleans(),
        timed_out=st.booleans(),
        phase=texts,
        exit_code=st.none() | st.integers(-99, 255),
        stdout=texts,
        stderr=texts,
        seconds=SECONDS,
        mode=st.sampled_from(Mode),
        first_seconds=st.none() | SECONDS,
    )
