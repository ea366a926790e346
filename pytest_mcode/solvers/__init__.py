"""Where completions come from: Mellea's backends, and the reference solutions."""

from __future__ import annotations

import gc
import logging

from pytest_mcode import options
from pytest_mcode._types import Solver
from pytest_mcode.settings import Settings

#: Seconds before a request that met a passing fault is sent again; each further pause is twice as long.
PAUSE = 1.0


def open_solver(settings: Settings, *, pause: float = PAUSE) -> Solver:
    """Make the solver of this process; Mellea is imported here, and only where something is generated."""
    options.quieten()
    logging.getLogger("mellea").setLevel(logging.CRITICAL)
    from pytest_mcode.solvers.mellea import MelleaSolver

    gc.freeze()  # modules are never garbage: neither a collection nor the interpreter's end need walk all of Mellea's
    return MelleaSolver(settings, pause)
