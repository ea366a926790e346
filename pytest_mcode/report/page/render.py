"""From figures and attempts to the text of the page, piece by piece: attempts are read as they are written."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pytest_mcode._errors import UsageError
from pytest_mcode._rows import AttemptRow
from pytest_mcode.metrics import Rate
from pytest_mcode.report.figures import Figures
from pytest_mcode.report.page.charts import charts
from pytest_mcode.report.page.content import Group, grouped
from pytest_mcode.report.page.details import Packer, batches
from pytest_mcode.spelling import visible

#: What a file of ours has near its beginning.
MARK = '<meta name="generator" content="mCode report">'
#: Attempts of some tasks of a run.
Attempts = Callable[[Figures, Sequence[str]], Iterable[AttemptRow]]
#: Of the scripts, in the order in which they are put together.
_SCRIPTS = ("common.js", "charts.js", "matrix.js", "details.js", "page.js")


def rendered(found: Sequence[Figures], attempts: Attempts, *, title: str, when: str) -> Iterator[str]:
    """The page, piece by piece.

    Args:
        found: The runs, in the order in which they are to be numbered; those that ran on the same data are compared.
        attempts: Reads the attempts of some tasks of a run; asked for a few hundred at a time.
        title: Its heading.
        when: When it was made, as the store spells times.
    """
    groups = grouped(found)
    script, style, plotly = "".join(map(_asset, _SCRIPTS)), _asset("page.css"), _plotly()
    yield from (
        _environment()
        .get_template("page.html.jinja")
        .generate(
            mark=MARK,
            title=title,
            when=when,
            groups=groups,
            charts=[charts(group) for group in groups],
            script=script,
            style=style,
            hashes=[_hash(script), _hash(plotly)],
            plotly=base64.b64encode(gzip.compress(plotly.encode(), mtime=0)).decode("ascii"),
            details=details(groups, attempts),
        )
    )


def details(groups: Sequence[Group], attempts: Attempts) -> Iterator[tuple[str, str]]:
    """Each task's name on the page, and all its attempts, packed."""
    packer = Packer()
    for place, group in enumerate(groups):
        numbers = {task: number for number, task in enumerate(group.tasks)}
        sizes = ((task, sum(len(its.get(task, "")) for its in group.cells)) for task in group.tasks)
        for batch in batches(sizes):
            rows: dict[str, dict[int, list[AttemptRow]]] = {task: {} for task in batch}
            for run in group.runs:
                for row in attempts(run.figures, batch):
                    rows[row.task_id].setdefault(run.number, []).append(row)
            for task in batch:
                faults = {r.number: r.figures.faults[task] for r in group.runs if task in r.figures.faults}
                yield f"{place}-{numbers[task]}", packer.packed(rows[task], faults)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("pytest_mcode.report.page", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.filters |= {"rate": _rate, "amount": _amount, "percent": _percent}
    return made


def _shown(value: Any) -> Any:
    """Names come from anywhere: what they hold of control characters is spelled out."""
    return visible(value) if type(value) is str else value  # what is marked as safe is of another type


def _rate(rate: Rate | None) -> str:
    """A rate with its interval, in per cent, as `mcode results` writes it."""
    return "-" if rate is None else f"{_percent(rate.value)} [{_percent(rate.low)}, {_percent(rate.high)}]"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _amount(number: float | None) -> str:
    """A number with as many decimals as it needs."""
    if number is None:
        return "-"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"  # noqa: PLR2004 - from there on, no decimals


def _asset(name: str) -> str:
    return (resources.files("pytest_mcode.report.page") / "assets" / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Plotly's script, of its Python package."""
    found = find_spec("plotly")  # without importing it
    if found is None or found.origin is None:
        raise UsageError("The package plotly is not installed: pip install plotly.")
    return (Path(found.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
