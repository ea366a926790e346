"""The repository of an issue as text, read from its image at the commit that the image has checked out."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from pytest_mcode._errors import SandboxError
from pytest_mcode.repositories.boxes import KEPT, Box

#: Bytes of the largest file that is taken for source text.
LARGEST = 1 << 20
#: Seconds for git to pack it.
PATIENCE = 120.0

#: Texts by path.
Texts = Mapping[str, str]


async def texts(box: Box) -> Texts:
    """Every text file of the repository.

    Raises:
        SandboxError: It cannot be read.
    """
    packed = bytearray()
    ran = await box.run(
        ["git", "-c", "safe.directory=*", "archive", "--format=tar", "HEAD"], seconds=PATIENCE, stderr=False
    )
    packed += ran.output
    if ran.exit_code != 0:
        raise SandboxError(f"The repository in the image cannot be read (git archive ended with {ran.exit_code}).")
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for member in archive:
                if member.isfile() and member.size <= LARGEST and (stream := archive.extractfile(member)) is not None:
                    text = decoded(stream.read())
                    if text is not None:
                        found[member.name] = text
    except tarfile.TarError as error:
        if len(packed) < KEPT:
            raise SandboxError(f"The repository in the image cannot be read ({error}).") from error
    return found  # what comes after the first 64 MB of a huge repository is left out


def decoded(data: bytes) -> str | None:
    """Bytes as text; None for what is not text."""
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
