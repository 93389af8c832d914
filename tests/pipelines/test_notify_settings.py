"""Alerts that no sink takes, and sinks that change while notify runs."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from monitor.alerting.alert import Alert
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import Severity, State
from monitor.errors import RetryableDelivery
from monitor.settings import Delivery, Settings
from monitor.sinks.log.config import LogSinkConfig
from monitor.sinks.routing import Unrouted, in_words, unrouted
from tests.pipelines.stages.notify.test_stage import Bench, Receiver, transitions


class Particular(Receiver):
    """Takes what its configuration takes."""

    def __init__(self, name: str, routes: tuple[str, ...], least: Severity = Severity.INFO) -> None:
        super().__init__(name=name)
        self._config = LogSinkConfig(type="log", name=name, routes=routes, min_severity=least)

    def takes(self, alert: Alert) -> bool:
        return self._config.takes(alert)


def routed(route: str, state: State = State.FIRING, severity: Severity = Severity.CRITICAL) -> Alert:
    alert = sample_alert(state)
    labels = {**alert.labels, "route": route, "severity": severity.value}
    return msgspec.structs.replace(alert, route=route, severity=severity, labels=labels)


@pytest.mark.parametrize(
    ("alert", "why"),
    [
        (routed("support"), None),
        (routed("suport"), Unrouted.ROUTE),
        (routed("suport", State.INFO, Severity.INFO), Unrouted.ROUTE),
        (routed("suport", State.RESOLVED), None),
        (routed("support", severity=Severity.WARNING), Unrouted.SEVERITY),
        # What a least severity is for.
        (routed("support", State.INFO, Severity.INFO), None),
    ],
)
def test_why_an_alert_reaches_nobody(alert: Alert, why: Unrouted | None) -> None:
    assert unrouted(alert, [Particular("a", ("support",), Severity.CRITICAL), Particular("b", ("other",))]) is why
    if why is not None:
        assert in_words(alert, why).startswith("sent to nobody: ")


async def test_an_alert_that_no_sink_takes_is_counted_once_and_shown_while_it_fires(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(monkeypatch, Particular("a", ("support",)))
    await bench.publish(routed("suport"), routed("suport"))
    await bench.run()
    await bench.notify.idle()
    await bench.notify.idle()
    assert bench.stats.unrouted == {("suport", "route"): 1}
    assert bench.stats.unrouted_firing == {("suport", "route"): 1}
    assert "sent to nobody: no sink takes route suport" in caplog.text
    await bench.publish(routed("suport", State.RESOLVED))
    await bench.run()
    await bench.notify.idle()
    assert bench.stats.unrouted == {("suport", "route"): 1}
    assert bench.stats.unrouted_firing == {}


async def test_after_a_restart_with_a_sink_for_the_route_it_is_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Particular("a", ("support",)))
    await bench.publish(routed("suport"))
    await bench.run()
    bench.receivers = (Particular("a", ("sup*",)),)
    bench.restart()
    await bench.run()
    await bench.notify.idle()
    assert bench.receivers[0].got == [routed("suport").transition]
    assert bench.stats.unrouted_firing == {}


async def test_so_it_is_when_the_settings_change_while_notify_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Particular("a", ("support",)))
    await bench.publish(routed("suport"))
    await bench.run()
    wide = Particular("all", ("*",))
    await bench.notify.settings_changed([*bench.receivers, wide], (), Delivery())
    await settled(bench)
    assert wide.got == [routed("suport").transition]
    await bench.notify.idle()
    assert bench.stats.unrouted_firing == {}


async def settled(bench: Bench, turns: int = 300) -> None:
    for turn in range(turns):
        await asyncio.sleep(0)
        if turn % 10 == 9:
            bench._wake_next()


async def test_what_waits_for_a_sink_goes_to_its_successor_of_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    down = Receiver([RetryableDelivery("down")] * 10_000)
    bench = Bench(monkeypatch, down, Receiver(name="other"))
    firing, resolved = transitions()
    await bench.publish(firing, resolved)
    await bench.run()
    assert down.got == []
    mended = Receiver()
    await bench.notify.settings_changed([mended, bench.receivers[1]], (), Delivery())
    await settled(bench)
    assert mended.got == [firing.transition, resolved.transition]
    assert bench.receivers[1].got == [firing.transition, resolved.transition]
    assert bench.stats.pending_deliveries == 0
    tried = down.tried
    await settled(bench)
    assert down.tried == tried


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_waits_for_a_sink_that_is_gone_is_delivered_when_it_comes_back(
    monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    bench = Bench(monkeypatch, Receiver([RetryableDelivery("down")] * 10_000))
    await bench.publish(transitions()[0])
    await bench.run()
    if restarted:
        bench.receivers = ()
        bench.restart()
        await bench.run()
    else:
        await bench.notify.settings_changed([], (), Delivery())
    assert bench.stats.pending_deliveries == 0
    back = Receiver()
    await bench.notify.settings_changed([back], (), Delivery())
    await settled(bench)
    assert back.got == [transitions()[0].transition]


async def test_an_unchanged_sink_keeps_its_circuit_and_other_waits_hold_from_now_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch, Receiver([RetryableDelivery("down")] * 10_000))
    await bench.publish(transitions()[0])
    await bench.run()
    circuit = bench.couriers.circuits["hook"]
    await bench.notify.settings_changed(bench.receivers, (), Delivery(first_retry=7.0, longest_retry=7.0))
    assert bench.couriers.circuits["hook"] is circuit
    bench.slept.clear()
    await settled(bench)
    assert set(bench.slept[2:]) == {7.0}


async def test_a_maintenance_window_that_is_taken_away_lets_out_what_it_held_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch, Receiver())
    windows = Settings.model_validate({"maintenance": [{"weekly": {"start": "00:00", "end": "00:00"}}]}).maintenance
    bench.windows = list(windows)
    bench.restart()
    await bench.publish(transitions()[0])
    await bench.run()
    await bench.notify.idle()
    assert bench.receivers[0].got == []
    await bench.notify.settings_changed(bench.receivers, (), Delivery())
    await bench.notify.idle()
    await settled(bench)
    assert bench.receivers[0].got == [transitions()[0].transition]
