def checksum(body: str) -> int:
    """Return the sum of the characters' codes modulo 97."""
    return sum(map(ord, body)) % 97


def read_telegrams(stream: str) -> list[str]:
    r"""Return the bodies of the intact telegrams of a stream, in their order.

    A telegram is a line of the form "$body*NN". The body is all between the "$" that starts the
    line and the line's last "*". NN, always two decimal digits, is the checksum of the body. A line
    of any other form and a telegram with a wrong checksum are left out.

    >>> read_telegrams("$wind 12*80\nnoise\n$wind 13*80\n$calm*25")
    ['wind 12', 'calm']
    """
    # solution
    bodies = []
    for line in stream.splitlines():
        body, _, digits = line[1:].rpartition("*")
        if line == f"${body}*{digits}" and digits == f"{checksum(body):02d}":
            bodies.append(body)
    return bodies


def check(candidate):
    def telegram(body: str) -> str:
        return f"${body}*{sum(map(ord, body)) % 97:02d}"

    assert candidate("") == []
    assert candidate(telegram("wind 12")) == ["wind 12"]
    assert candidate("\n".join(map(telegram, ["b", "a", "b"]))) == ["b", "a", "b"]
    assert candidate(telegram("a*b*c") + "\n" + telegram("*") + "\n" + telegram("$")) == ["a*b*c", "*", "$"]
    assert candidate("$a*01\n" + telegram("c") + "\n$c*03") == ["c"]
    assert candidate("a*00\n$a00\n$a*\n*00\n$\n\n") == []
    assert candidate("$b*01\n$b*1\n$b*001\n$b*01x\n#b*01\nx$b*01") == ["b"]
