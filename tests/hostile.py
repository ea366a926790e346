"""All hostile programs, by what they go about."""

from __future__ import annotations

from tests.attacks import Hostile, ending, escaping, exhausting, leaving, lying, patching, reading, wire

TABLES: dict[str, tuple[Hostile, ...]] = {
    "ending": ending.PROGRAMS,
    "escaping": escaping.PROGRAMS,
    "exhausting": exhausting.PROGRAMS,
    "leaving": leaving.PROGRAMS,
    "lying": lying.PROGRAMS,
    "patching": patching.PROGRAMS,
    "reading": reading.PROGRAMS,
    "wire": wire.PROGRAMS,
}
PROGRAMS = {f"{name}: {hostile.name}": hostile for name, programs in TABLES.items() for hostile in programs}
