"""A container registry on this machine that holds some local images, as far as an engine's pull asks for it."""

from __future__ import annotations

import hashlib
import http.server
import json
import tarfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
UNKNOWN = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
LIMITED = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}'
LAYER = "application/vnd.docker.image.rootfs.diff.tar"


class Registry:
    """Serves images by name; ``pulled`` has the names whose manifests were asked for, in order.

    While ``refusing`` is an HTTP status, it is all that is answered to a question for a manifest.
    """

    def __init__(self, place: Path) -> None:
        self._place, self._images = place, dict[str, bytes]()
        self.pulled: list[str] = []
        self.refusing = 0
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.answer(self)

            do_HEAD = do_GET  # noqa: N815 - the base class calls it so

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Registry:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def hold(self, name: str, image: Any) -> None:
        """Take a local image under a name without its tag."""
        packed = self._place / "image.tar"
        with packed.open("wb") as file:
            for chunk in image.save():
                file.write(chunk)
        with tarfile.open(packed) as archive:
            archive.extractall(self._place / "image", filter="tar")
        packed.unlink()
        (about,) = json.loads((self._place / "image" / "manifest.json").read_text())
        layers = [self._blob(LAYER, self._place / "image" / layer) for layer in about["Layers"]]
        config = self._blob(CONFIG, self._place / "image" / about["Config"])
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        self._images[name] = json.dumps(manifest).encode()

    def _blob(self, kind: str, file: Path) -> dict[str, Any]:
        with file.open("rb") as data:
            digest = hashlib.file_digest(data, "sha256").hexdigest()
        size = file.stat().st_size
        blob = self._place / digest
        if not blob.exists():
            blob.hardlink_to(file.resolve())
        return {"mediaType": kind, "size": size, "digest": f"sha256:{digest}"}

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        kind, _, last = request.path.rpartition("/")
        status, body, content = 404, UNKNOWN, "application/json"
        if request.path == "/v2/":
            status, body = 200, b"{}"
        elif kind.endswith("/manifests"):
            name = kind.removeprefix("/v2/").removesuffix("/manifests")
            if request.command == "GET" or not last.startswith("sha256:"):
                self.pulled.append(name)
            found = self._images.get(name)
            if self.refusing:
                status, body = self.refusing, LIMITED
            elif found is not None:
                status, body, content = 200, found, MANIFEST
        elif kind.endswith("/blobs") and (self._place / last.removeprefix("sha256:")).is_file():
            body = (self._place / last.removeprefix("sha256:")).read_bytes()
            status, content = 200, "application/octet-stream"
        request.send_response(status)
        request.send_header("Content-Type", content)
        request.send_header("Content-Length", str(len(body)))
        if content == MANIFEST:
            request.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)
