def number_headings(text: str) -> list[str]:
    r"""Number the headings of a text as its table of contents would.

    A heading is a line that starts with one or more "#" and then a space; the number of "#" is its
    level, the rest of the line without surrounding spaces its title. All other lines are ignored.
    A number counts the headings of each level so far, from level 1 down, with dots between; the
    count of a level starts again below each heading of a higher level. The first heading is of
    level 1, and no heading is more than one level below the heading before it.

    >>> number_headings("# Soup\nHot.\n## Stock\n## Salt\n# Bread\n## Flour")
    ['1 Soup', '1.1 Stock', '1.2 Salt', '2 Bread', '2.1 Flour']
    """
    # solution
    numbered = []
    counts: list[int] = []
    for line in text.splitlines():
        marks, space, title = line.partition(" ")
        if not space or not marks or marks.strip("#"):
            continue
        level = len(marks)
        counts = [*counts, 0][:level]
        counts[-1] += 1
        numbered.append(f"{'.'.join(map(str, counts))} {title.strip()}")
    return numbered


def check(candidate):
    assert candidate("") == []
    assert candidate("no heading\n #not one\n") == []
    assert candidate("# A\n# B\n# C") == ["1 A", "2 B", "3 C"]
    assert candidate("# A\n## B\n### C\n## D\n### E\n# F\n## G") == [
        "1 A",
        "1.1 B",
        "1.1.1 C",
        "1.2 D",
        "1.2.1 E",
        "2 F",
        "2.1 G",
    ]
    assert candidate("# A\n## B\n### C\n# D") == ["1 A", "1.1 B", "1.1.1 C", "2 D"]
    assert candidate("#  Wide title \n#tag with words\n#\n## Use # wisely") == ["1 Wide title", "1.1 Use # wisely"]
    assert candidate("\n".join(f"# T{n}" for n in range(12)))[-1] == "12 T11"
