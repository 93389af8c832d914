"""The receiver of alerts, on the loopback: a real HTTP server that is well, refuses, limits, hangs or hangs up."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.sinks.receiver import hang, hang_up, receiver


class Mood(StrEnum):
    """How it answers."""

    WELL = "200"
    FAILS = "500"
    LIMITS = "429, Retry-After: 1"
    HANGS = "hangs"
    HANGS_UP = "hangs up"


@dataclass(frozen=True)
class Post:
    """What came: the transition in the body, the key in the header, and whether the sender was told that it arrived."""

    transition: str
    key: str
    accepted: bool


class Pager:
    """Runs in a thread with an event loop of its own; `mood` may be changed from any thread at any time."""

    def __init__(self) -> None:
        self.mood = Mood.WELL
        self.posts: list[Post] = []
        self.answers: Counter[Mood] = Counter()
        self.url = ""
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), name="pager")

    async def _serve(self) -> None:
        async with receiver() as server:
            server.answer = self._answer
            self.url = server.url
            self._up.set()
            await self._over.wait()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        mood = self.mood
        self.answers[mood] += 1
        told = json.loads(await request.read())
        accepted = mood is Mood.WELL
        self.posts.append(Post(told["transition"], request.headers["Idempotency-Key"], accepted))
        match mood:
            case Mood.WELL:
                return web.Response()
            case Mood.FAILS:
                return web.Response(status=500, text="out of order")
            case Mood.LIMITS:
                return web.Response(status=429, headers={"Retry-After": "1"})
            case Mood.HANGS:
                return await hang(request)
            case Mood.HANGS_UP:
                return await hang_up(request)

    @property
    def accepted(self) -> Counter[str]:
        """How often each transition was accepted."""
        return Counter(post.transition for post in list(self.posts) if post.accepted)

    @property
    def keys(self) -> dict[str, set[str]]:
        """The idempotency keys that each transition came under."""
        keys = defaultdict(set)
        for post in list(self.posts):
            keys[post.transition].add(post.key)
        return dict(keys)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()
