"""With the real `datasets` library, in processes of their own: it reads the environment at its import."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from pytest_mcode import _hub
from tests.hub import COMMIT, Hub, serving

NAME = "google-research-datasets/mbpp"
CARD = "---\nconfigs:\n- config_name: full\n  data_files:\n  - split: test\n    path: full/test-*\n---\n"
ROWS = "full/test-00000-of-00001.parquet"
ROW = {"task_id": 11, "text": "t", "test_list": ["assert f()"]}
SCRIPT = f"""
import json, sys
from pathlib import Path
from pytest_mcode.dataset import DataError, Source, open_rows
source = Source("{NAME}", {{"task_id": int, "text": str, "test_list": list}}, config="full")
try:
    rows = open_rows(source, split=None, data=None, cache=Path(sys.argv[1]))
    print(json.dumps([rows.ids, rows[0], rows.origin, "datasets" in sys.modules]))
except DataError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    top = tmp_path / "hub" / NAME
    (top / "full").mkdir(parents=True)
    (top / "README.md").write_text(CARD)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{**ROW, "unused": 1}]), top / ROWS)
    with serving(tmp_path / "hub") as running:
        yield running


def started(cache: Path, **environment: str) -> subprocess.Popen[str]:
    home = str(cache.parent / "huggingface")
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(cache)],
        env={**os.environ, "HF_HOME": home, **environment},
        cwd=cache.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[object, str]:
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    return json.loads(out), err


def closed_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_set_is_loaded_once_however_many_processes_want_it_and_then_without_network(tmp_path: Path, hub: Hub) -> None:
    processes = [started(tmp_path / "cache", HF_ENDPOINT=hub.url) for _ in range(8)]
    found = [ended(process)[0] for process in processes]
    rows = [["11"], ROW, f"{NAME}, full"]
    assert [one for one in found if one != [*rows, False]] == [[*rows, True]]
    assert hub.requests.count(f"GET /datasets/{NAME}/resolve/{COMMIT}/{ROWS}") == 1
    again, _ = ended(started(tmp_path / "another cache", HF_HUB_OFFLINE="1"))
    assert again == [*rows, True]


def test_no_network_and_no_cache_is_one_sentence_with_the_ways_out(tmp_path: Path) -> None:
    url = closed_port()
    told, printed = ended(started(tmp_path / "cache", HF_ENDPOINT=url))
    assert told == (
        f"The data set {NAME} is not cached, and could not be loaded from the Hugging Face hub ({url} does not "
        f"answer): give a local copy with --mcode-data PATH, or name a mirror that can be reached in HF_ENDPOINT."
    )
    assert printed == ""


def test_a_hub_answers_if_it_says_anything_at_all(hub: Hub) -> None:
    assert _hub.answers(f"{hub.url}/datasets/{NAME}/resolve/main/README.md")
    assert _hub.answers(f"{hub.url}/nothing/there")
    assert not _hub.answers(closed_port())
    assert _hub.answers("no URL, of which the library tells better")


def test_what_hangs_up_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def hang_up() -> None:
            server.accept()[0].close()

        hung_up = pool.submit(hang_up)
        assert not _hub.answers(f"http://127.0.0.1:{server.getsockname()[1]}")
        hung_up.result()
