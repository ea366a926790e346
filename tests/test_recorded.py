"""Finding runs: which databases, which runs in them, and the shards of one run in several."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_mcode._errors import StoreError, UsageError
from pytest_mcode.recorded import (
    Wanted,
    all_figures,
    attempts_of,
    expanded,
    figures_of,
    located,
    named,
    newest,
    results_of,
    sessions_of,
    since,
    task_named,
)
from pytest_mcode.store import Run, Store
from tests.known import RUNS, Known, build, result, row

RUN = row(RUNS[0])


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return build(tmp_path_factory.mktemp("known") / "known.db")


def write(path: Path, run: Run, *tasks: tuple[int, str]) -> str:
    """A database of one run, with the letters of some tasks' attempts."""
    with closing(Store(str(path))) as store:
        store.begin(run)
        store.enter(run.id, path.stem, "1")
        for number, letters in tasks:
            store.put(run.id, result(RUNS[0], number, letters))
    return str(path)


def shard(index: int, planned: int, **more: object) -> Run:
    config = {**RUN.config, "shard-count": 2, "shard-index": index}
    return dataclasses.replace(RUN, id="sharded", config=config, planned=planned, **more)  # type: ignore[arg-type]


class TestWhere:
    """Which files are looked into."""

    def test_a_directory_is_all_its_databases_and_each_is_named_once(self, tmp_path: Path) -> None:
        for name in ("b.db", "a.db", "notes.txt"):
            (tmp_path / name).touch()
        paths = [str(tmp_path / "a.db"), str(tmp_path / "b.db")]
        assert expanded([str(tmp_path)]) == paths
        assert expanded([str(tmp_path / "*.db"), str(tmp_path / "a.db")]) == paths
        assert expanded([str(tmp_path / "none.db")]) == [str(tmp_path / "none.db")]

    @pytest.mark.parametrize("name", ["*.db", ""])
    def test_where_there_is_none_a_sentence_says_so(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(StoreError, match=r"^(No results database matches|There is no \*\.db in the directory)"):
            expanded([str(tmp_path / name)])

    def test_an_address_is_left_as_it_is(self) -> None:
        assert expanded(["postgresql://host/*db"]) == ["postgresql://host/*db"]


class TestWhen:
    """The earliest start that is wanted."""

    NOW = datetime(2025, 11, 3, 12, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("text", "when"),
        [
            ("7d", "2025-10-27T12:00:00.000+00:00"),
            ("12h", "2025-11-03T00:00:00.000+00:00"),
            (" 30m ", "2025-11-03T11:30:00.000+00:00"),
            ("2025-11-03T14:00+02:00", "2025-11-03T12:00:00.000+00:00"),
            ("2025-11-03T14:00:00Z", "2025-11-03T14:00:00.000+00:00"),
            (None, None),
        ],
    )
    def test_a_time_is_told_as_it_is_stored(self, text: str | None, when: str | None) -> None:
        assert since(text, now=self.NOW) == when

    @pytest.mark.parametrize("text", ["", "yesterday", "7w", "99999d", "2025-13-01"])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match=r"^--since is .*, but must be a date or time"):
            since(text, now=datetime(200, 1, 1, tzinfo=UTC))


class TestWhich:
    """The runs that are asked for."""

    def test_the_newest_comes_first(self, known: Known) -> None:
        runs = [its.run.id for its in located([known.path], Wanted())]
        assert runs == [known.repaired, known.sampled, known.better, known.one]
        assert newest([known.path], Wanted(model="granite3.3:2b")).run.id == known.one

    def test_one_is_named_by_its_id_the_beginning_of_it_or_as_the_last(self, known: Known) -> None:
        for name in (known.better, "20251103-11"):
            assert named([known.path], name).run.id == known.better
        assert named([known.path], "last").run.id == known.repaired
        assert named([known.path], "last", Wanted(model="qwen2.5-coder:7b")).run.id == known.sampled

    def test_an_id_that_begins_others_is_itself(self, tmp_path: Path) -> None:
        paths = [write(tmp_path / f"{n}.db", dataclasses.replace(RUN, id=n)) for n in ("night", "nightly", "last")]
        assert named(paths, "night").run.id == "night"
        assert named([*paths, write(tmp_path / "n.db", row(RUNS[3]))], "last").run.id == "last"

    def test_a_sweep_is_all_runs_that_were_made_for_it(self, tmp_path: Path) -> None:
        swept = dataclasses.replace(RUN, id="swept", config={**RUN.config, "sweep": "night"})
        paths = [write(tmp_path / "0.db", RUN), write(tmp_path / "1.db", swept)]
        assert [its.run.id for its in located(paths, Wanted(sweep="night"))] == ["swept"]

    def test_of_many_that_begin_so_a_few_are_named(self, tmp_path: Path) -> None:
        paths = [write(tmp_path / f"{n}.db", dataclasses.replace(RUN, id=f"run-{n}")) for n in range(7)]
        with pytest.raises(UsageError, match=r"^Several runs begin with run: (run-\d, ){4}run-\d and 2 more\. Name"):
            named(paths, "run")

    @pytest.mark.parametrize(
        ("wanted", "sentence"),
        [
            (Wanted(model="granite3.3:8"), r"No run of model 'granite3.3:8' in .* \(did you mean 'granite3.3:8b'\?\);"),
            (Wanted(backend="vllm"), r"No run of backend 'vllm' in .*; there are ollama\.$"),
            (Wanted(sweep="night"), r"No run of sweep 'night' in .*; there are none\.$"),
            (Wanted(run="x"), r"There is no run x in "),
            (Wanted(since="2026"), r"No run in .* started at 2026 or later: the newest started at 2025-11-03T13"),
            (Wanted(model="granite3.3:2b", since="2025-11-03T12"), r"No run of model 'granite3.3:2b' with start since"),
        ],
    )
    def test_why_there_is_none_is_told(self, known: Known, wanted: Wanted, sentence: str) -> None:
        with pytest.raises(UsageError, match=sentence):
            located([known.path], wanted)


class TestShards:
    """One run in several databases."""

    @pytest.fixture
    def paths(self, tmp_path: Path) -> list[str]:
        first = write(tmp_path / "0.db", shard(0, 2, finished_at="2025-11-03T11:00"), (0, "p"), (2, "f"))
        later = shard(1, 1, started_at="2025-11-03T10:30", finished_at="2025-11-03T12:00")
        return [first, write(tmp_path / "1.db", later, (1, "e"))]

    def test_they_are_one_run_with_all_their_tasks(self, paths: list[str]) -> None:
        (its,) = located(paths, Wanted())
        assert (its.run.planned, its.run.started_at) == (3, RUN.started_at)
        assert its.places == tuple(paths)
        found = figures_of(its)
        assert (found.solved, found.judged, found.errors, found.missing) == (1, 2, 1, 0)
        assert all_figures([its], Wanted()) == [found]
        assert [session.host for session in sessions_of(its)] == ["0", "1"]

    def test_it_is_unfinished_while_one_of_them_is(self, paths: list[str]) -> None:
        with closing(Store(paths[1])) as store:
            store.finish("sharded")
        (half,) = located(paths, Wanted())
        assert half.run.finished_at is None  # the first has been entered again
        with closing(Store(paths[0])) as store:
            store.finish("sharded")
        (whole,) = located(paths, Wanted())
        assert whole.run.finished_at is not None

    def test_a_shard_in_two_databases_is_counted_once(self, paths: list[str], tmp_path: Path) -> None:
        again = write(tmp_path / "2.db", shard(1, 1, started_at="2025-11-03T11:30"), (1, "p"))
        (its,) = located([*paths, again], Wanted())
        assert its.run.planned == 3
        found = figures_of(its)
        assert (found.solved, found.judged, found.errors) == (2, 3, 0)  # the task was judged the second time

    def test_the_attempts_of_a_task_are_those_of_the_result_that_counts(self, paths: list[str], tmp_path: Path) -> None:
        again = write(tmp_path / "2.db", shard(1, 1, started_at="2025-11-03T11:30"), (1, "p"))
        (its,) = located([*paths, again], Wanted())
        assert [(a.task_id, a.verdict) for a in attempts_of(its, "HumanEval/1")] == [("HumanEval/1", "passed")]
        assert {row.task_id: row.status for row in results_of(its)}["HumanEval/1"] == "solved"

    def test_beside_them_a_whole_run_keeps_its_own_figures(self, paths: list[str], known: Known) -> None:
        found = located([*paths, known.path], Wanted())
        solved = {f.run.id: f.solved for f in all_figures(found, Wanted())}
        assert solved == {"sharded": 1, **{run: truth.solved for run, truth in known.truths.items()}}


def test_a_task_is_meant_by_its_id_before_anything_else(known: Known) -> None:
    rows = results_of(named([known.path], known.one))
    short = dataclasses.replace(RUN, id="r")
    bare = [rows[0]._replace(task_id=its) for its in ("1", "a/1", "A/1", "a/2")]
    assert task_named(short, bare, "1").task_id == "1"
    assert task_named(short, bare, "a/1").task_id == "a/1"
    assert task_named(short, bare, "2").task_id == "a/2"
    with pytest.raises(UsageError, match=r"^Several tasks of run r are called 1: a/1, A/1\."):
        task_named(short, bare[1:], "1")
    with pytest.raises(UsageError, match=r"^There is no task 'b/1' among the 4 that are recorded of run r \(did you"):
        task_named(short, bare, "b/1")
