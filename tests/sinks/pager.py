"""A PagerDuty of one's own on the loopback, in a thread: keeps what it is told, for tests whose `oqm` is a process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "k" * 32


class Pager(ThreadingHTTPServer):
    """Answers each post with `status`; keeps the events in the order they came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.status = 202

    @property
    def sink(self) -> dict[str, Any]:
        """The sink that tells it, as settings."""
        return {"type": "pagerduty", "routing_key": KEY, "url": f"http://127.0.0.1:{self.server_port}/v2/enqueue"}

    def actions(self, fingerprint: str) -> list[str]:
        """What was asked for one incident, in order."""
        return [event["event_action"] for event in self.events if event["dedup_key"] == fingerprint]


class _Handler(BaseHTTPRequestHandler):
    server: Pager

    def do_POST(self) -> None:
        self.server.events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def listening() -> Iterator[Pager]:
    """A pager that listens until the end of the block."""
    with Pager() as pager:
        thread = threading.Thread(target=pager.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield pager
        finally:
            pager.shutdown()
            thread.join()
