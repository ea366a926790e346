def seat_label(index: int, per_row: int) -> str:
    """Label a cinema seat: the number of its row, then the letter of its place in the row.

    Seats are counted from 0, row by row. A row has per_row seats (1 to 26), lettered from "A".
    Rows are numbered from 1, with a leading zero below 10.

    >>> seat_label(0, 4)
    '01A'
    >>> seat_label(6, 4)
    '02C'
    """
    # solution
    row, place = divmod(index, per_row)
    return f"{row + 1:02d}{chr(ord('A') + place)}"


def check(candidate):
    assert candidate(0, 4) == "01A"
    assert candidate(3, 4) == "01D"
    assert candidate(4, 4) == "02A"
    assert candidate(39, 4) == "10D"
    assert candidate(400, 4) == "101A"
    assert candidate(25, 26) == "01Z"
    assert candidate(5, 1) == "06A"
