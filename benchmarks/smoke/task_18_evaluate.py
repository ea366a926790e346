def evaluate(text: str, names: dict[str, int]) -> int:
    """Return the value of an expression over whole numbers.

    This is the grammar of expressions, with what they mean:

        choice  = sum { "|" sum }                       the largest of the sums
        sum     = product { ("+" | "-") product }       from left to right
        product = factor { "*" factor }
        factor  = number | name | "(" choice ")" | "-" factor

    A number is one or more decimal digits, a name one or more of the letters a to z; its value is in
    names. Any number of spaces may stand before and after each number, name and sign. Raises
    ValueError if the text is not of this grammar or a name is not in names.

    >>> evaluate("2 * (width + 1) | 7", {"width": 4})
    10
    """
    # solution
    import re

    tokens = re.findall(r"[0-9]+|[a-z]+|\S", text)[::-1]
    value = choice(tokens, names)
    if tokens:
        raise ValueError(f"unexpected {tokens[-1]!r}")
    return value


def choice(tokens: list[str], names: dict[str, int]) -> int:
    """Take a choice off the end of the tokens and return its value; the others do the same."""
    value = total(tokens, names)
    while tokens and tokens[-1] == "|":
        tokens.pop()
        value = max(value, total(tokens, names))
    return value


def total(tokens: list[str], names: dict[str, int]) -> int:
    value = product(tokens, names)
    while tokens and tokens[-1] in ("+", "-"):
        sign = 1 if tokens.pop() == "+" else -1
        value += sign * product(tokens, names)
    return value


def product(tokens: list[str], names: dict[str, int]) -> int:
    value = factor(tokens, names)
    while tokens and tokens[-1] == "*":
        tokens.pop()
        value *= factor(tokens, names)
    return value


def factor(tokens: list[str], names: dict[str, int]) -> int:
    found = tokens.pop() if tokens else ""
    if found.isdecimal():
        return int(found)
    if found == "-":
        return -factor(tokens, names)
    if found == "(":
        value = choice(tokens, names)
        if not tokens or tokens.pop() != ")":
            raise ValueError("a parenthesis is not closed")
        return value
    if found not in names:
        raise ValueError(f"unexpected {found!r}")
    return names[found]


def check(candidate):
    names = {"a": 5, "width": 4, "b": -2}
    assert candidate("42", {}) == 42
    assert candidate("2 * (width + 1) | 7", names) == 10
    assert candidate("10 - 4 - 3", {}) == 3
    assert candidate("1+2*3", {}) == 7
    assert candidate(" ( 1 + 2 ) * a ", names) == 15
    assert candidate("3 | 4 + 4 | 5", {}) == 8
    assert candidate("2 * (1 | 6) - b", names) == 14
    assert candidate("-a * --2 + -(3 - 1)", names) == -12
    assert candidate("-9 | -12", {}) == -9
    assert candidate("((((007))))", {}) == 7
    for bad in ("", " ", "1 +", "* 2", "2 3", "(2", "2)", "()", "2a", "x", "1 / 2", "+1", "1 || 2", "2 A"):
        try:
            candidate(bad, names)
        except ValueError:
            continue
        raise AssertionError(f"{bad!r} raises no ValueError")
