from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.alert import Alert, transition_key
from monitor.alerting.lifecycle.book import AlertBook, is_at_least
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import RaisedAt, Severity, State
from monitor.errors import StateError


def alert(
    name: str,
    state: State = State.FIRING,
    *,
    stream: str = "s",
    time: float | None = 0.0,
    segment: dict[str, str] | None = None,
    severity: Severity = Severity.WARNING,
) -> Alert:
    base = sample_alert(state, stream=stream)
    return msgspec.structs.replace(
        base,
        fingerprint=name,
        transition=transition_key(name, state),
        raised_at=RaisedAt("e", 1, time),
        segment=segment,
        severity=severity,
        labels={**base.labels, "fingerprint": name, "severity": severity.value},
    )


def test_an_alert_fires_once_and_resolves_once() -> None:
    book = AlertBook()
    told = [
        book.apply(alert("a", state))
        for state in (State.FIRING, State.FIRING, State.RESOLVED, State.RESOLVED, State.FIRING)
    ]
    assert [t.state if t else None for t in told] == [State.FIRING, None, State.RESOLVED, None, None]
    assert book.firing() == []


def test_information_that_crosses_its_floor_fires_with_the_severity_of_then() -> None:
    book = AlertBook()
    assert book.apply(alert("a", State.INFO, severity=Severity.INFO)) is not None
    fired = book.apply(alert("a", State.FIRING, severity=Severity.CRITICAL))
    assert fired is not None
    assert (fired.severity, fired.labels["severity"]) == (Severity.CRITICAL, "critical")
    assert book.apply(alert("a", State.INFO)) is None


def test_labels_incident_route_and_severity_stay_as_first_told() -> None:
    book = AlertBook()
    fired = book.apply(alert("a"))
    later = alert("a", State.RESOLVED, severity=Severity.CRITICAL)
    later = msgspec.structs.replace(later, labels={**later.labels, "owner": "moved", "route": "other"}, route="other")
    resolved = book.apply(later)
    assert fired is not None
    assert resolved is not None
    assert resolved.labels == fired.labels
    assert (resolved.incident, resolved.route, resolved.severity) == (fired.incident, "default", Severity.WARNING)


def test_a_resolution_of_an_unknown_alert_is_told() -> None:
    assert AlertBook().apply(alert("a", State.RESOLVED)) is not None


def test_the_same_cause_in_many_streams_is_one_incident() -> None:
    book = AlertBook(group_window_s=100)
    segment = {"model.fingerprint": "fp_2"}
    told = [book.apply(alert(f"a{i}", stream=f"s{i}", time=90.0 * i, segment=segment)) for i in range(20)]
    assert len({t.incident for t in told if t}) == 1
    last = told[-1]
    assert last is not None
    assert last.also_in == [f"s{i}" for i in range(10)]
    assert last.labels["incident"] == last.incident
    (incident,) = book.incidents()
    assert len(incident.streams) == len(incident.open) == 20


@pytest.mark.parametrize(
    "other",
    [
        alert("b", time=101.0, segment={"m": "1"}),
        alert("b", time=-101.0, segment={"m": "1"}),
        alert("b", time=0.0, segment={"m": "2"}),
        alert("b", time=0.0),
        alert("b", time=None, segment={"m": "1"}),
        msgspec.structs.replace(alert("b", segment={"m": "1"}), driver=None),
    ],
)
def test_another_cause_or_another_time_is_another_incident(other: Alert) -> None:
    book = AlertBook(group_window_s=100)
    first, second = book.apply(alert("a", segment={"m": "1"})), book.apply(other)
    assert first is not None
    assert second is not None
    assert first.incident != second.incident
    assert second.also_in == []


def test_an_incident_closes_with_its_last_alert() -> None:
    book = AlertBook()
    for name in "ab":
        book.apply(alert(name, stream=name))
    book.apply(alert("a", State.RESOLVED, stream="a"))
    assert [incident.open for incident in book.incidents()] == [{"b": "b"}]
    book.apply(alert("b", State.RESOLVED, stream="b"))
    assert list(book.incidents()) == []


def test_memory_is_bounded_but_firing_alerts_are_kept() -> None:
    book = AlertBook(capacity=50)
    book.apply(alert("fires"))
    for i in range(500):
        book.apply(alert(f"a{i}", State.INFO, time=1e6 * i))
        assert len(book) <= 56
    assert [a.fingerprint for a in book.firing()] == ["fires"]
    assert len(book.snapshot()) < 300_000


def test_alerts_that_fire_may_exceed_the_capacity() -> None:
    book = AlertBook(capacity=10)
    for i in range(100):
        book.apply(alert(f"a{i}"))
    assert len(book.firing()) == 100


STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(list(State)), st.sampled_from([None, 0.0, 50.0, 5000.0])),
    max_size=30,
)


@given(STEPS)
def test_each_transition_is_news_at_most_once_and_life_goes_one_way(steps: list[tuple[str, State, float]]) -> None:
    book = AlertBook()
    told = [t for name, state, time in steps if (t := book.apply(alert(name, state, time=time)))]
    assert len({t.transition for t in told}) == len(told)
    order = [State.INFO, State.FIRING, State.RESOLVED]
    for name in "abcd":
        life = [order.index(t.state) for t in told if t.fingerprint == name]
        assert life == sorted(life)
    firing = {name for name in "abcd" if [t.state for t in told if t.fingerprint == name][-1:] == [State.FIRING]}
    assert {a.fingerprint for a in book.firing()} == firing


@given(STEPS, st.integers(0, 30))
def test_a_restored_book_goes_on_as_the_original(steps: list[tuple[str, State, float]], cut: int) -> None:
    book = AlertBook()
    for name, state, time in steps[:cut]:
        book.apply(alert(name, state, time=time))
    copy = AlertBook()
    copy.restore(book.snapshot())
    for name, state, time in steps[cut:]:
        assert copy.apply(alert(name, state, time=time)) == book.apply(alert(name, state, time=time))
    assert copy.snapshot() == book.snapshot()


@pytest.mark.parametrize("data", [b"", b"\x80", b"junk", msgspec.msgpack.encode({"format": 1})])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(StateError):
        AlertBook().restore(data)


def test_another_format_is_refused() -> None:
    state = msgspec.msgpack.decode(AlertBook().snapshot())
    with pytest.raises(StateError, match="format 2"):
        AlertBook().restore(msgspec.msgpack.encode({**state, "format": 2}))


def test_severities_are_ordered() -> None:
    assert is_at_least(Severity.CRITICAL, Severity.WARNING)
    assert is_at_least(Severity.WARNING, Severity.WARNING)
    assert not is_at_least(Severity.INFO, Severity.WARNING)
