def apply_moves(deck: list[str], moves: list[tuple[int, int]]) -> None:
    """Reorder a deck of cards in place, by one move after the other.

    A move (source, target) takes out the card at index source and puts it back so that it is
    at index target of the whole deck. All indices are valid and not negative.

    >>> deck = ["a", "b", "c", "d"]
    >>> apply_moves(deck, [(0, 2), (3, 0)])
    >>> deck
    ['d', 'b', 'c', 'a']
    """
    # solution
    for source, target in moves:
        deck.insert(target, deck.pop(source))


def check(candidate):
    def moved(cards: str, *moves: tuple[int, int]) -> str:
        deck = list(cards)
        assert candidate(deck, list(moves)) is None
        return "".join(deck)

    assert moved("abcd") == "abcd"
    assert moved("abcd", (0, 2)) == "bcad"
    assert moved("abcd", (2, 0)) == "cabd"
    assert moved("abcd", (0, 3)) == "bcda"
    assert moved("abcd", (1, 1)) == "abcd"
    assert moved("abcd", (0, 2), (3, 0)) == "dbca"
    assert moved("aab", (2, 0), (1, 2)) == "baa"
    assert moved("x", (0, 0)) == "x"
