from typing import NamedTuple


class Slot(NamedTuple):
    """From start up to, not including, end: minutes after midnight; start is less than end."""

    start: int
    end: int


def free_slots(busy: list[Slot], day: Slot) -> list[Slot]:
    """Return the slots of a day that are not busy, each as long as it can be, in their order.

    The busy slots come in any order, may overlap, touch or hold each other, and may lie partly or
    wholly outside the day.

    >>> free_slots([Slot(600, 660), Slot(540, 570)], Slot(480, 1020))
    [Slot(start=480, end=540), Slot(start=570, end=600), Slot(start=660, end=1020)]
    """
    # solution
    free = []
    start = day.start
    for taken in [*sorted(busy), Slot(day.end, day.end + 1)]:
        end = min(taken.start, day.end)
        if start < end:
            free.append(Slot(start, end))
        start = max(start, taken.end)
    return free


def check(candidate):
    day = Slot(100, 200)
    assert candidate([], day) == [day]
    assert candidate([Slot(150, 160), Slot(110, 120)], day) == [(100, 110), (120, 150), (160, 200)]
    assert candidate([Slot(110, 190), Slot(120, 130)], day) == [(100, 110), (190, 200)]
    assert candidate([Slot(110, 130), Slot(130, 140), Slot(135, 150)], day) == [(100, 110), (150, 200)]
    assert candidate([Slot(100, 120), Slot(180, 200)], day) == [(120, 180)]
    assert candidate([Slot(0, 120), Slot(180, 300)], day) == [(120, 180)]
    assert candidate([Slot(0, 50), Slot(250, 300), Slot(200, 210), Slot(90, 100)], day) == [day]
    assert candidate([Slot(0, 150), Slot(140, 999)], day) == []
    assert [slot.end - slot.start for slot in candidate([Slot(101, 199)], day)] == [1, 1]
