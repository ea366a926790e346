"""Data sets of the Hugging Face hub, through its `datasets` library."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from pytest_mcode import options
from pytest_mcode._errors import DataError

#: Seconds within which the hub, or a mirror, must answer at all.
PATIENCE = 10.0


def load(name: str, config: str | None, split: str) -> list[Mapping[str, Any]]:
    """Load every row of a split; the library keeps a cache of its own, which will do where there is no network.

    Raises:
        DataError: The rows are neither to be had nor cached.
    """
    url, silent = options.hub_url(), False
    if url is not None and not answers(url):
        silent = True
        options.leave_hub_alone()  # the library would try for half a minute or more before it looks at its cache
    import datasets

    datasets.disable_progress_bars()
    try:
        return list(datasets.load_dataset(name, config, split=split))
    except Exception as error:  # the boundary: the library and the clients below it raise what they like
        told = f"{url} does not answer" if silent else textwrap.shorten(str(error), 200, placeholder=" …").rstrip(".")
        raise DataError(
            f"The data set {name} is not cached, and could not be loaded from the Hugging Face hub ({told}): give a "
            f"local copy with --mcode-data PATH, or name a mirror that can be reached in HF_ENDPOINT."
        ) from error


def answers(url: str) -> bool:
    """Whether anything answers there, be it with a refusal; proxies of the environment are used."""
    import ssl
    import urllib.request
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    try:
        urllib.request.urlopen(url, timeout=PATIENCE).close()  # noqa: S310 - the user's own choice of a hub
    except HTTPError as refusal:
        refusal.close()
    except URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # the library may trust other certificates
    except (OSError, HTTPException):
        return False
    except ValueError:
        return True  # not a URL: the library says so
    return True
