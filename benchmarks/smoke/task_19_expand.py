def expand(settings: dict[str, str]) -> dict[str, str]:
    """Return settings with all references in their values replaced; the argument is not changed.

    "<name>" in a value stands for the value of the setting of that name, whose own references are
    replaced likewise. "<name:fallback>" stands for the same if there is such a setting, and else for
    the text fallback, which may be empty. Names are letters, and a fallback holds none of "<", ">"
    and ":". "<" and ">" occur in references only.

    Raises ValueError if a reference without a fallback names a setting that does not exist, or if a
    setting refers to itself, directly or by way of others.

    >>> expand({"url": "http://<host>/<path:index>", "host": "<name>.org", "name": "tern"})
    {'url': 'http://tern.org/index', 'host': 'tern.org', 'name': 'tern'}
    """
    # solution
    import re

    def value(name: str, pending: tuple[str, ...]) -> str:
        if name in pending:
            raise ValueError(f"{name} refers to itself")

        def replace(reference: re.Match[str]) -> str:
            target, colon, fallback = reference[1].partition(":")
            if target in settings:
                return value(target, (*pending, name))
            if not colon:
                raise ValueError(f"there is no setting {target}")
            return fallback

        return re.sub("<([^>]*)>", replace, settings[name])

    return {name: value(name, ()) for name in settings}


def check(candidate):
    assert candidate({}) == {}
    assert candidate({"a": "x: y", "b": ""}) == {"a": "x: y", "b": ""}
    assert candidate({"a": "<b><b>-<c>", "b": "1", "c": "<b>2"}) == {"a": "11-12", "b": "1", "c": "12"}
    assert candidate({"a": "[<b:no>][<c:no>][<d:>]", "b": ""}) == {"a": "[][no][]", "b": ""}
    assert candidate({"a": "<b:x>", "b": "<c:y>", "c": "<d:z>"}) == {"a": "z", "b": "z", "c": "z"}
    assert candidate({"a": "<ab>", "ab": "<b>", "b": r"\1 $1"}) == {"a": r"\1 $1", "ab": r"\1 $1", "b": r"\1 $1"}
    settings = {"a": "<b>", "b": "1"}
    candidate(settings)
    assert settings == {"a": "<b>", "b": "1"}
    for bad in (
        {"a": "<b>"},
        {"a": "<a>"},
        {"a": "<a:x>"},
        {"a": "<b>", "b": "<c>", "c": "<b>"},
        {"a": "1", "b": "<a> <c> <d:x>"},
    ):
        try:
            candidate(bad)
        except ValueError:
            continue
        raise AssertionError(f"{bad} raises no ValueError")
