"""The system's Chromium, driven by playwright: pages from disk, with all that they do on their own watched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, sync_playwright

#: Names under which systems have it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
Scheme = Literal["light", "dark"]


@dataclass
class Watched:
    """A page, and what it did that a report must not.

    Attributes:
        page: As playwright has it.
        requests: Everything that was asked for but the page itself.
        complaints: What the console said of errors, refusals of the content security policy among them.
        dialogs: The messages of dialogs that a script opened.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def watch(self, address: str) -> None:
        """Note down what the page does, which is at that address."""

        def asked(request: Request) -> None:
            if not request.url.startswith(("data:", "blob:")) and request.url != address.partition("#")[0]:
                self.requests.append(request.url)

        def said(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.complaints.append(message.text)

        def opened(dialog: Dialog) -> None:
            self.dialogs.append(dialog.message)
            dialog.dismiss()

        self.page.on("request", asked)
        self.page.on("console", said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", opened)

    @property
    def misdeeds(self) -> list[str]:
        """All of it."""
        return [*self.requests, *self.complaints, *self.dialogs]


def executable() -> str | None:
    """Where the browser is; None if there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    arguments = ["--disable-dev-shm-usage"]  # containers give it too little
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # it refuses to run as root with its own
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable(), args=arguments)
        try:
            yield running
        finally:
            running.close()


def opened(
    running: Browser, path: Path, *, width: int = 1280, height: int = 900, scheme: Scheme = "light", at: str = ""
) -> Watched:
    """Open a page from disk in a profile of its own, and wait until it can be used."""
    context = running.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    watched = Watched(page)
    address = f"{path.resolve().as_uri()}{at}"
    watched.watch(address)
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    return watched
