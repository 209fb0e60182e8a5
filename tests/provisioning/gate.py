"""AWS's gate before ministack, on the wire: throttles each operation, and loses some answers after the deed is done."""

import http.client
import random
import re
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_NAMES = re.compile(r"/[^/]*[0-9][^/]*")  # of things and certificates, in a path


class Gate:
    """Use as a context; `url` is what clients are told. per_second: of each operation; loses: share of answers."""

    def __init__(self, target: str, *, per_second: float, loses: float, seed: int) -> None:
        self._target, self._rate, self._loses = urlsplit(target).netloc, per_second, loses
        self._chance, self._guard = random.Random(seed), threading.Lock()
        self._levels: dict[str, tuple[float, float]] = {}
        self.calls = self.throttled = self.lost = 0

        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_ANY(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not gate._admits(f"{self.command} {_NAMES.sub('/*', urlsplit(self.path).path)}"):
                    self._answer(429, b'{"message": "Rate exceeded"}', {"x-amzn-ErrorType": "ThrottlingException"})
                    return
                inner = http.client.HTTPConnection(gate._target, timeout=60)
                inner.request(self.command, self.path, body, dict(self.headers))
                response = inner.getresponse()
                content = response.read()
                inner.close()
                if gate._drops():
                    self.close_connection = True
                    return
                kept = ("x-", "content-type")
                headers = {key: value for key, value in response.getheaders() if key.lower().startswith(kept)}
                self._answer(response.status, content, headers)

            def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                with suppress(ConnectionError):  # whoever asked was killed
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_ANY

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Gate":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _admits(self, operation: str) -> bool:
        with self._guard:
            self.calls += 1
            now = time.monotonic()
            level, at = self._levels.get(operation, (3.0, now))
            level = min(3.0, level + (now - at) * self._rate)
            self._levels[operation] = (level - (level >= 1), now)
            self.throttled += level < 1
            return level >= 1

    def _drops(self) -> bool:
        with self._guard:
            drops = self._chance.random() < self._loses
            self.lost += drops
            return drops
