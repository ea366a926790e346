def stamp(canvas: list[list[int]], pattern: list[list[int]], top: int, left: int) -> list[list[int]]:
    """Return a copy of a canvas with a pattern stamped on it; the canvas itself is not changed.

    Both are lists of rows, and all rows of one have the same length. The pattern's first row lies
    on row top of the canvas, its first column on column left; both may be negative. What lies
    outside the canvas is cut off. A 0 in the pattern leaves the canvas as it is.

    >>> stamp([[1, 1, 1], [1, 1, 1]], [[7, 0], [8, 9]], 0, 1)
    [[1, 7, 1], [1, 8, 9]]
    """
    # solution
    result = [row[:] for row in canvas]
    for y, row in enumerate(pattern, top):
        for x, ink in enumerate(row, left):
            if ink and 0 <= y < len(canvas) and 0 <= x < len(canvas[y]):
                result[y][x] = ink
    return result


def check(candidate):
    square = [[1, 2], [3, 4]]
    assert candidate(square, [[9]], 1, 0) == [[1, 2], [9, 4]]
    assert candidate(square, [[9, 8], [7, 6]], 1, 1) == [[1, 2], [3, 9]]
    assert candidate(square, [[9, 8], [7, 6]], -1, -1) == [[6, 2], [3, 4]]
    assert candidate(square, [[0, 8], [7, 0]], 0, 0) == [[1, 8], [7, 4]]
    assert candidate(square, [[5, 5, 5, 5]], 0, -2) == [[5, 5], [3, 4]]
    assert candidate(square, [[9]], 2, 0) == square
    assert candidate(square, [[9]], 0, -1) == square
    assert candidate(square, [], 0, 0) == square
    assert candidate([[1, 1, 1], [1, 1, 1]], [[-7, 0], [8, 9]], 0, 1) == [[1, -7, 1], [1, 8, 9]]
    assert square == [[1, 2], [3, 4]]
    candidate(square, [], 0, 0)[0][0] = 99
    assert square == [[1, 2], [3, 4]]
