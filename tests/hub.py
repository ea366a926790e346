"""A Hugging Face hub of one's own: serves the data sets of a directory to the real client, and counts requests."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

COMMIT = "0" * 40


class Hub:
    """Serves ``root/<owner>/<name>/…`` at ``url``; ``requests`` are the methods and paths asked for so far."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url
        self.requests: list[str] = []

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a path: a file of a data set, what is known of it, or its list of files."""
        if found := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            file = self.root / found[1] / found[2]
            if file.is_file():
                body = file.read_bytes()
                return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(body).hexdigest()}"'}, body
        elif found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/revision/[^/]+", path):
            return told({"id": found[1], "sha": COMMIT, "siblings": []})
        elif found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/tree/[^/]+/?(.*)", path):
            top = self.root / found[1]
            return told([entry(top, child) for child in sorted((top / found[2]).iterdir())])
        return 404, {}, b""


def entry(top: Path, path: Path) -> dict[str, object]:
    """A line in a list of files."""
    kind = "file" if path.is_file() else "directory"
    return {"type": kind, "path": str(path.relative_to(top)), "size": path.stat().st_size, "oid": COMMIT}


def told(value: object) -> tuple[int, dict[str, str], bytes]:
    """An answer in JSON."""
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    """Serve on a loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            hub.requests.append(f"{self.command} {path}")
            status, headers, body = hub.answer(path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the base class names it so

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(root, f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
