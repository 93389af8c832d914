"""What every sink must do, whatever it talks to: the checks of `monitor.sinks.base.Sink`.

    async def test_my_sink(my_receiver):
        await check_sink(lambda: MySink(my_receiver.url), accepted=lambda: my_receiver.keys)

May import `monitor.sinks` and below.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import State
from monitor.errors import DeliveryError, PermanentDelivery, RetryableDelivery
from monitor.sinks.base import KeepsAlive, Sink


async def check_sink(make: Callable[[], Sink], accepted: Callable[[], Sequence[str | None]]) -> None:
    """A sink whose receiver is well: it delivers, repeats under the same key, and closes twice.

    `accepted` gives the idempotency keys that the receiver has seen so far, None for each delivery that has no room
    for a key (a log). Raises `AssertionError` with what is wrong.
    """
    sink = make()
    assert re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,63}", sink.name), f"name {sink.name!r} is not fit for a label"
    book = AlertBook()
    firing, resolved = (book.apply(sample_alert(state)) for state in (State.FIRING, State.RESOLVED))
    assert firing is not None
    assert resolved is not None
    assert sink.takes(firing) == sink.takes(resolved), "an alert that is taken must be resolved, too"
    for count, alert in enumerate((firing, firing, resolved), start=1):
        await sink.send(alert)
        keys = accepted()
        assert len(keys) == count, "send returned before the receiver accepted the delivery"
        assert keys[-1] in (alert.transition, None), "a delivery must carry its transition as its key"
    if isinstance(sink, KeepsAlive):
        assert sink.keep_alive_s > 0
        await sink.keep_alive([])
        assert len(accepted()) == 3, "nothing fires, so nothing may be sent"
        await sink.keep_alive([firing])
    await sink.close()
    await sink.close()


async def check_failure(
    sink: Sink, expected: type[DeliveryError], *, secrets: Sequence[str] = (), retry_after_s: float | None = None
) -> None:
    """A sink whose receiver is not well: it raises `expected` and nothing else, and gives away none of `secrets`."""
    firing = AlertBook().apply(sample_alert())
    assert firing is not None
    error = await _failure(sink.send(firing))
    assert type(error) is expected, f"raised {type(error).__name__}: {error}"
    assert str(error), "says nothing"
    assert "\n" not in str(error), "must be one line"
    for secret in secrets:
        assert secret not in str(error), "gives away a secret"
    if isinstance(error, RetryableDelivery):
        assert error.retry_after_s == retry_after_s


async def _failure(sending: Awaitable[None]) -> DeliveryError:
    try:
        await sending
    except (RetryableDelivery, PermanentDelivery) as error:
        return error
    raise AssertionError("was delivered, though the receiver refused")
