"""What an evaluation leaves beside the database: patch, test output and report, named in the attempt's row."""

from __future__ import annotations

import json
import re
import secrets
import time
from pathlib import Path

from pytest_mcode.repositories.grading import Evaluation


def home(database: str) -> Path:
    """The directory of a database's logs."""
    file = Path(database).expanduser()
    return file.with_name(f"{file.name}.logs")


def keep(database: str, issue_id: str, patch: str, evaluation: Evaluation) -> str:
    """Write them, and return the directory as seen from the database's; empty if they cannot be written."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", issue_id).lstrip(".") or "task"
    place = home(database) / name / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
    try:
        place.mkdir(parents=True)
        (place / "patch.diff").write_text(patch, encoding="utf-8", errors="surrogateescape")
        (place / "test_output.txt").write_text(evaluation.log, encoding="utf-8")
        report = {"kind": evaluation.kind, "told": evaluation.told, "swebench": evaluation.report}
        (place / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except OSError:  # the verdict counts, and is recorded
        return ""
    return str(place.relative_to(home(database).parent))
