from __future__ import annotations

import pytest

from pytest_mcode import _url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://user:pass@localhost:8000/v1", "http://localhost:8000/v1"),
        ("https://user:p@ss@host/v1", "https://host/v1"),
        ("https://token@host", "https://host"),
        ("https://host/v1?api_key=secret&v=2", "https://host/v1"),
        ("https://host?next=http://user:secret@other", "https://host"),
        ("https://host/v1#secret", "https://host/v1"),
        ("http://host/models/name@revision", "http://host/models/name@revision"),
        ("user:pass@host:11434", "host:11434"),
        ("host:11434", "host:11434"),
        ("postgresql+psycopg://me:secret@db:5432/mcode", "postgresql+psycopg://db:5432/mcode"),
        ("http://user:pass@[::1]:11434", "http://[::1]:11434"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert _url.without_credentials(url) == shown


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("gpu", "http://gpu:11434"),
        ("gpu:", "http://gpu:11434"),
        ("gpu:8080", "http://gpu:8080"),
        ("gpu:8080/", "http://gpu:8080"),
        ("http://gpu", "http://gpu:80"),
        ("https://gpu", "https://gpu:443"),
        ("https://gpu:8443/ollama/", "https://gpu:8443/ollama"),
        ("http://user:123@gpu", "http://user:123@gpu:80"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("::1", "http://[::1]:11434"),
        ("[::]", "http://[::1]:11434"),
        ("[::]:8080", "http://[::1]:8080"),
    ],
)
def test_an_ollama_address_is_taken_in_every_form_of_its_own(address: str, url: str) -> None:
    assert _url.ollama(address) == url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("localhost:8000/v1/", "http://localhost:8000/v1"),
        ("https://host/v1", "https://host/v1"),
    ],
)
def test_a_url_without_scheme_is_plain_http(given: str, url: str) -> None:
    assert _url.with_scheme(given) == url


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("--db=postgresql://me:secret@db/mcode", "--db=postgresql://db/mcode"),
        ("postgresql+psycopg://me:secret@db:1/x?password=secret", "postgresql+psycopg://db:1/x"),
        ("run:20250101-000000-abcdef@postgres://me:secret@db/x", "run:20250101-000000-abcdef@postgres://db/x"),
        ("--solutions=run:a@postgres://secret@db/x", "--solutions=run:a@postgres://db/x"),
        ("--base-url=http://me:secret@gpu:8000/v1", "--base-url=http://gpu:8000/v1"),
        ("--db=runs/me@work.db", "--db=runs/me@work.db"),
    ],
)
def test_a_word_of_a_command_line_is_told_without_what_logs_in(word: str, told: str) -> None:
    assert _url.spoken(word) == told
