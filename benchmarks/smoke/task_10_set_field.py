def set_field(word: int, low: int, width: int, value: int) -> int:
    """Return a word with one of its bit fields replaced by a value.

    The field is the width bits from bit low upwards, where bit 0 is the lowest. All other bits stay
    as they are. word and low are at least 0, width is at least 1. Raises ValueError if the value is
    negative or does not fit into width bits.

    Write a second function beside it: get_field(word, low, width) returns the value of a field.

    >>> bin(set_field(0b111111, 1, 3, 0b010))
    '0b110101'
    >>> get_field(0b110101, 1, 3)
    2
    """
    # solution
    if not 0 <= value < 1 << width:
        raise ValueError(f"{value} does not fit into {width} bits")
    mask = (1 << width) - 1
    return (word & ~(mask << low)) | (value << low)


def get_field(word: int, low: int, width: int) -> int:
    """Return the value of the field of width bits from bit low upwards."""
    return (word >> low) & ((1 << width) - 1)


def check(candidate):
    assert candidate(0b111111, 1, 3, 0b010) == 0b110101
    assert candidate(0, 0, 1, 1) == 1
    assert candidate(0xABCD, 4, 8, 0xFF) == 0xAFFD
    assert candidate(0xFFFF, 8, 8, 0) == 0x00FF
    assert candidate(0b1, 70, 2, 0b11) == (0b11 << 70) + 1
    assert get_field(0xABCD, 4, 8) == 0xBC
    assert get_field(0xABCD, 12, 8) == 0xA
    assert get_field(0b100, 0, 2) == 0
    assert get_field(candidate(12345, 3, 5, 21), 3, 5) == 21
    for value in (-1, 8, 100):
        try:
            candidate(0, 4, 3, value)
        except ValueError:
            continue
        raise AssertionError(f"{value} for 3 bits raises no ValueError")
