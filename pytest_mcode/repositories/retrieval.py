"""Which files of a repository a prompt shows: ranked by BM25, or those of the gold patch, or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from pytest_mcode.repositories.issue import Issue, is_test, touched
from pytest_mcode.repositories.source import Texts

#: Files that BM25 picks at most; as many as fit are shown.
MOST = 20
#: Identifiers are found whole and by their parts.
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]+")
PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def bm25(issue: Issue, texts: Texts) -> list[str]:
    """Source files that are no tests, by how well path and text match the issue's words, the best first."""
    files = sources(texts)
    ranked = ranking([f"{path}\n{texts[path]}" for path in files], issue.statement)
    return [files[number] for number in ranked[:MOST]]


def oracle(issue: Issue, texts: Texts) -> list[str]:
    """The files that the gold patch changes, which nobody who settles an issue is told."""
    return [path for path in touched(issue.gold) if path in texts]


def nothing(issue: Issue, texts: Texts) -> list[str]:  # noqa: ARG001 - it has the form of the others
    """No file at all."""
    return []


RETRIEVAL: Mapping[str, Callable[[Issue, Texts], list[str]]] = {"bm25": bm25, "oracle": oracle, "none": nothing}


def sources(texts: Texts) -> list[str]:
    """The Python files of a repository that are no tests."""
    return sorted(path for path, text in texts.items() if path.endswith(".py") and text.strip() and not is_test(path))


def ranking(documents: Sequence[str], query: str) -> list[int]:
    """The numbers of the documents that share words with a query, the best first; equals in their order."""
    import bm25s

    asked, listed = tokens(query), [tokens(document) for document in documents]
    known = {word for words in listed for word in words}
    if not known.intersection(asked):
        return []
    index = bm25s.BM25()
    index.index(listed, show_progress=False)
    scores = index.get_scores([word for word in asked if word in known])
    return sorted((n for n in range(len(documents)) if scores[n] > 0), key=lambda n: (-scores[n], n))


def tokens(text: str) -> list[str]:
    """The words of a text in lower case; of an identifier, also its parts."""
    found = []
    for word in WORD.findall(text):
        whole = word.lower()
        found.append(whole)
        parts = [part.lower() for part in PARTS.findall(word)]
        if len(parts) > 1:
            found += [part for part in parts if len(part) > 1]
    return found
