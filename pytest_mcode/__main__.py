"""``python -m pytest_mcode`` is ``mcode``."""

from __future__ import annotations

from pytest_mcode.cli import main

main()
