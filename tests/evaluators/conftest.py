from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from monitor.testing.scripted_evaluator import ScriptedEvaluator
from tests.sinks.receiver import Receiver, receiver


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


@pytest.fixture
def scripted() -> Iterator[ScriptedEvaluator]:
    with ScriptedEvaluator(fails=lambda output: "banana" in output) as made:
        yield made
