"""The soak of `tests.perf.soak`, short enough for every day: random faults, killed workers, and every row as if not."""

from __future__ import annotations

from pathlib import Path

from tests.perf.soak import soak


def test_random_faults_and_killed_workers_change_no_row(tmp_path: Path) -> None:
    soaked = soak(tmp_path, tasks=400, workers=2, kill_every=4)
    assert soaked.killed > 0
