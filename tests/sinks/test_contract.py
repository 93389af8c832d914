"""The public contract checks find what they are there to find."""

from __future__ import annotations

import pytest

from monitor.alerting.alert import Alert
from monitor.detection.records.finding import State
from monitor.errors import PermanentDelivery, RetryableDelivery
from monitor.testing.sinks import check_failure, check_sink


class Good:
    """Keeps the contract; the others each break one point of it."""

    name = "good"

    def __init__(self) -> None:
        self.keys: list[str | None] = []

    def takes(self, alert: Alert) -> bool:
        return True

    async def send(self, alert: Alert) -> None:
        self.keys.append(alert.transition)

    async def close(self) -> None:
        return


class BadName(Good):
    name = "My Sink"


class TakesNoResolution(Good):
    def takes(self, alert: Alert) -> bool:
        return alert.state is State.FIRING


class ReturnsTooSoon(Good):
    async def send(self, alert: Alert) -> None:
        return


class NewKeyEachTime(Good):
    async def send(self, alert: Alert) -> None:
        self.keys.append(f"{alert.transition}-{len(self.keys)}")


async def test_a_good_sink_passes() -> None:
    sink = Good()
    await check_sink(lambda: sink, lambda: sink.keys)


@pytest.mark.parametrize("kind", [BadName, TakesNoResolution, ReturnsTooSoon, NewKeyEachTime])
async def test_a_sink_that_breaks_the_contract_is_found(kind: type[Good]) -> None:
    sink = kind()
    with pytest.raises(AssertionError):
        await check_sink(lambda: sink, lambda: sink.keys)


class Fails(Good):
    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.error = error

    async def send(self, alert: Alert) -> None:
        if self.error is not None:
            raise self.error


async def test_a_good_failure_passes() -> None:
    await check_failure(Fails(RetryableDelivery("later", 3.0)), RetryableDelivery, retry_after_s=3.0)


@pytest.mark.parametrize(
    "error",
    [
        None,
        PermanentDelivery("never"),
        RetryableDelivery(""),
        RetryableDelivery("two\nlines"),
        RetryableDelivery("http://x/k3y"),
        RetryableDelivery("later", 3.0),
    ],
)
async def test_a_bad_failure_is_found(error: Exception | None) -> None:
    with pytest.raises(AssertionError):
        await check_failure(Fails(error), RetryableDelivery, secrets=["k3y"])


async def test_an_error_of_another_tree_is_not_taken_for_one() -> None:
    with pytest.raises(KeyError):
        await check_failure(Fails(KeyError("x")), RetryableDelivery)
