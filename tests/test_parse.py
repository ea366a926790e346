from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pytest_mcode._parse import names, nearest, number, one_of, share, so_many, some, switch, whole

Parser = Callable[[str], object]
SHARE = "a share from 0 to 1, or in per cent with the sign"
SO_MANY = "a whole number of at least 0, or a share in per cent"


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (whole(1), "1", 1),
        (whole(0), "12", 12),
        (whole(0, 9), "9", 9),
        (number(0), "0", 0.0),
        (number(0, above=True), "0.5", 0.5),
        (number(0, 2), "2", 2.0),
        (number(0), "1e3", 1000.0),
        (one_of("docker", "process"), "process", "process"),
        (switch, "true", True),
        (switch, "Yes", True),
        (switch, "1", True),
        (switch, "off", False),
        (switch, "FALSE", False),
        (names, "humaneval", ("humaneval",)),
        (names, " mbpp, humaneval ,, mbpp", ("mbpp", "humaneval")),
        (some, "granite3.3:8b", "granite3.3:8b"),
        (share, "0.6", 0.6),
        (share, "1", 1.0),
        (share, "60%", 0.6),
        (share, "33.3 %", 0.333),
        (share, "0%", 0.0),
        (so_many, "0", "0"),
        (so_many, "2%", "2%"),
    ],
)
def test_a_text_becomes_its_value(parse: Parser, text: str, value: object) -> None:
    assert parse(text) == value
    assert type(parse(text)) is type(value)


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (whole(1), "0", "a whole number of at least 1"),
        (whole(1), "-3", "a whole number of at least 1"),
        (whole(1), "1.5", "a whole number of at least 1"),
        (whole(1), "two", "a whole number of at least 1"),
        (whole(1), "9" * 5000, "a whole number of at least 1"),
        (whole(0, 9), "10", "a whole number of at least 0 and at most 9"),
        (number(0, above=True), "0", "a number above 0"),
        (number(0, above=True), "nan", "a number above 0"),
        (number(0, above=True), "inf", "a number above 0"),
        (number(0, above=True), "-inf", "a number above 0"),
        (number(0, above=True), "soon", "a number above 0"),
        (number(0), "nan", "a number of at least 0"),
        (number(0), "-0.1", "a number of at least 0"),
        (number(0), "1e999", "a number of at least 0"),
        (number(0, 2), "2.1", "a number of at least 0 and at most 2"),
        (number(0, 1, above=True), "0", "a number above 0 and at most 1"),
        (one_of("docker", "process"), "podman", "one of docker, process"),
        (one_of("docker", "process"), "dokcer", "one of docker, process (did you mean 'docker'?)"),
        (switch, "maybe", "true or false"),
        (names, "", "names with commas between"),
        (names, " , ", "names with commas between"),
        (some, "", "not empty"),
        *((share, text, f"{SHARE}: 0.6 or 60%") for text in ("60", "101%", "-0.1", "nan", "inf", "", "%", "1e999")),
        *((so_many, text, f"{SO_MANY}: 3 or 2%") for text in ("-1", "0.5", "101%", "nan%", "", "many")),
    ],
)
def test_what_is_no_value_is_told_what_one_would_be(parse: Parser, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        parse(text)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("humanevl", " (did you mean 'humaneval'?)"),
        ("HumanEval", " (did you mean 'humaneval'?)"),
        ("granite3.3", " (did you mean 'Granite3.3:8b'?)"),
        ("swebench", ""),
    ],
)
def test_the_nearest_name_is_told_if_one_is_near(name: str, said: str) -> None:
    assert nearest(name, ["humaneval", "mbpp", "Granite3.3:8b"]) == said
