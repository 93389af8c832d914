"""What a user's type checker sees of a recorded function: exactly what was decorated."""

from __future__ import annotations

from pathlib import Path

from mypy import api

SNIPPET = """
from collections.abc import AsyncIterator, Generator
from monitor import OutputPublisher

publisher = OutputPublisher()

@publisher.record("bot", input_of="question", model="m")
def plain(tenant: str, question: str, *, tone: str = "dry") -> str: return question

@publisher.record("bot")
async def coroutine(question: str) -> int: return 1

@publisher.record("bot")
def stream(question: str) -> Generator[str, int, float]:
    yield "a"
    return 1.0

@publisher.record("bot")
async def stream_async(question: str) -> AsyncIterator[bytes]:
    yield b"a"

class Bot:
    @publisher.record("bot")
    def answer(self, question: str) -> str: return question

reveal_type(plain)
reveal_type(coroutine)
reveal_type(stream)
reveal_type(stream_async)
reveal_type(Bot().answer)

async def main() -> None:
    async with OutputPublisher() as inner, inner.record("bot") as call:
        call.output = "x"
        reveal_type(await inner.aclose())
"""
SEEN = [
    "def (tenant: str, question: str, *, tone: str =) -> str",
    "def (question: str) -> typing.Coroutine[Any, Any, int]",
    "def (question: str) -> typing.Generator[str, int, float]",
    "def (question: str) -> typing.AsyncIterator[bytes]",
    "def (question: str) -> str",
    "bool",
]


def test_decorators_keep_types(tmp_path: Path) -> None:
    application = tmp_path / "application.py"
    application.write_text(SNIPPET)
    out, errors, status = api.run(["--strict", "--no-error-summary", str(application)])
    assert status == 0, out + errors
    revealed = [line.split('"')[1].replace("builtins.", "") for line in out.splitlines() if "Revealed type" in line]
    assert revealed == SEEN
