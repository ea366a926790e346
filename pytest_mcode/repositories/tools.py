"""The tools of an agent: small functions that act in the container of an instance, and block while they do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from pytest_mcode._errors import SandboxError
from pytest_mcode.repositories.applying import replaced
from pytest_mcode.repositories.boxes import Box
from pytest_mcode.repositories.edits import Edit
from pytest_mcode.repositories.issue import HOME, Issue, is_test, without_tests

#: Seconds of a command, and of what only reads.
LONG, SHORT = 180.0, 30.0
#: Characters of an answer: a small model's context must not drown in one.
SHOWN = 6000
#: Lines of a file that are read at once, and places that a search shows.
LINES, PLACES = 200, 60
GIT = ("git", "--no-pager", "-c", "safe.directory=*")
#: What may tell of commits after the one that is worked on; objects stay, but nothing names them.
FORGET = (
    "git config --global --add safe.directory '*'; git checkout -q --detach; "
    "git for-each-ref --format='delete %(refname)' refs/heads refs/tags refs/remotes | git update-ref --stdin; "
    "rm -rf .git/logs .git/ORIG_HEAD .git/FETCH_HEAD"
)
ENVIRONMENT = (
    "export PAGER=cat; source /opt/miniconda3/bin/activate >/dev/null 2>&1 && conda activate testbed >/dev/null 2>&1; "
)
GOAL = """\
Fix an issue in the Python repository in {home}, which is the directory that your tools work in.

<issue>
{issue}
</issue>

Find the source that is at fault (list_files, search, read_file), change it (edit_file), and check the change (run, \
which runs a shell command such as the repository's tests; show_diff). Change the repository's source and not its \
tests: changes to tests are not kept. When the issue is fixed, call final_answer with a short summary."""


@dataclass(frozen=True)
class Bench:
    """An agent's container, with the repository as it was before the issue was settled."""

    box: Box
    head: str

    @property
    def tools(self) -> list[Callable[..., str]]:
        """What the model may call."""
        return [self.list_files, self.read_file, self.search, self.edit_file, self.run, self.show_diff]

    def list_files(self, path: str = ".") -> str:
        """List the files of a directory and of the directories below it.

        Args:
            path: A directory of the repository.
        """
        return self._told([*GIT, "ls-files", "--cached", "--others", "--exclude-standard", "--", path or "."])

    def read_file(self, path: str, start: int = 1, end: int = 0) -> str:
        """Show a file with line numbers, at most 200 lines at once.

        Args:
            path: The file.
            start: The first line to show.
            end: The last line to show; 0 shows as many as possible.
        """
        text = self._read(path)
        if text is None:
            return f"There is no text file {path}."
        lines = text.splitlines()
        first = max(1, int(start))
        last = min(int(end) or len(lines), first + LINES - 1, len(lines))
        shown = "\n".join(f"{number:5} | {lines[number - 1]}" for number in range(first, last + 1))
        return shortened(f"{shown}\n({path}: lines {first} to {last} of {len(lines)})")

    def search(self, pattern: str, path: str = ".") -> str:
        """Search the files of the repository for a regular expression; shows file, line number and line.

        Args:
            pattern: The regular expression.
            path: A directory or file to search in.
        """
        words = [*GIT, "grep", "-n", "-I", "-E", "-e", pattern, "--", path or "."]
        found = self._told(words).splitlines()
        more = f"\n… and {len(found) - PLACES} more" if len(found) > PLACES else ""
        return shortened("\n".join(line[:300] for line in found[:PLACES]) + more) or "Nothing was found."

    def edit_file(self, path: str, old: str, new: str) -> str:
        """Replace lines of a file; with an empty old text, make a new file.

        Args:
            path: The file.
            old: The lines that are there now, copied exactly and without line numbers.
            new: The lines that take their place.
        """
        name = re.sub(rf"^(?:{HOME}/|\./)", "", path)
        if is_test(name):
            return f"{path} is a test, and tests stay as they are."
        if name.startswith(("/", ".git/")) or ".." in name.split("/"):
            return f"{path} is not a file of the repository."
        text = self._read(name)
        after = replaced(text, Edit(name, _lines(old), _lines(new)))
        if after is None and text is None:
            return f"There is no file {path}: to make it, leave the old text empty."
        if after is None:
            return f"{path} does not have these lines. Read it, and copy the lines that are to be replaced exactly."
        if after == text:
            return "Nothing changes: old and new are the same."
        self.box.put(f"{HOME}/{name}", after.encode("utf-8", "surrogateescape"))
        return f"{path} is changed."

    def run(self, command: str) -> str:
        """Run a shell command in the repository, such as its tests or a small script; there is no network.

        Args:
            command: The command, as for bash.
        """
        ran = self.box.execute(["/bin/bash", "-c", ENVIRONMENT + command + "\n"], LONG)
        ended = f"It was stopped after {LONG:g} s." if ran.timed_out else f"Exit code {ran.exit_code}."
        return shortened(ran.text.rstrip()) + f"\n{ended}"

    def show_diff(self) -> str:
        """Show what was changed in the repository so far."""
        return shortened(self._difference()) or "Nothing is changed so far."

    def patch(self) -> str:
        """The change of files that are no tests, as a patch.

        Raises:
            SandboxError: The container is gone.
        """
        parts = re.split(r"(?m)^(?=diff --git )", without_tests(self._difference()))
        return "".join(
            part for part in parts if not re.search(r"^(GIT binary patch|Binary files )", part, re.MULTILINE)
        )

    def _difference(self) -> str:
        flags = ["--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--no-renames"]
        self.box.execute([*GIT, "add", "-A"], SHORT)
        return self.box.execute([*GIT, "diff", "--cached", *flags, self.head], SHORT, stderr=False).text

    def _told(self, words: list[str]) -> str:
        return shortened(self.box.execute(words, SHORT).text.rstrip())

    def _read(self, path: str) -> str | None:
        ran = self.box.execute(["cat", "--", path], SHORT, stderr=False)
        return ran.text if ran.exit_code == 0 and b"\0" not in ran.output else None


async def bench(box: Box) -> Bench:
    """Make a container ready for an agent.

    Raises:
        SandboxError: Its repository cannot be read.
    """
    await box.run(["/bin/bash", "-c", FORGET], seconds=LONG)
    ran = await box.run([*GIT, "rev-parse", "HEAD"], seconds=SHORT, stderr=False)
    if ran.exit_code != 0:
        raise SandboxError(f"The repository in the image cannot be read: {shlex.quote(ran.text.strip()[:200])}.")
    return Bench(box, ran.text.strip())


def goal(issue: Issue) -> str:
    """What an agent is asked to do."""
    return GOAL.format(home=HOME, issue=issue.statement.strip())


def shortened(text: str) -> str:
    """Head and tail of a long text."""
    if len(text) <= SHOWN:
        return text
    return f"{text[: SHOWN // 3]}\n… {len(text) - SHOWN:,} characters …\n{text[-(SHOWN - SHOWN // 3) :]}"


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.strip("\n").split("\n")) if text.strip() else ()
