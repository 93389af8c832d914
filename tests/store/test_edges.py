"""What followed from what: edges of events in the trace store, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from monitor.actions.cascade import Cascade, Edge, EdgeKind, follow, node, roots_of
from monitor.events.schema import OutputEvent, Trace
from monitor.store.base import TraceStore
from monitor.store.open import open_store
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming, Place

DAY = 20_000
T = "ab" * 16


@pytest.fixture
def store(address: str) -> Iterator[TraceStore]:
    opened = open_store(address)
    yield opened
    opened.close()


def output(
    identity: str, stream: str = "s", span: str | None = None, parent: str | None = None, causes: tuple[str, ...] = ()
) -> OutputEvent:
    trace = Trace(trace_id=T, span_id=span, parent_id=parent) if span or parent else Trace()
    return OutputEvent(stream=stream, output="o", id=identity, trace=trace, causes=list(causes))


def write(store: TraceStore, *events: OutputEvent, day: int = DAY, first: int = 0) -> None:
    incoming = Incoming()
    placed = [(one, Place("topic", 0, first + k, day * 86_400.0 + first + k)) for k, one in enumerate(events)]
    incoming.add_outputs(placed, Privacy())
    store.write(incoming)


def cascade(store: TraceStore, *roots: str, **limits: Any) -> Cascade:
    return follow(dict.fromkeys(roots, "s"), [partial(store.edges, since_day=None)], **limits)


def steps(found: Cascade) -> set[tuple[str, str, int]]:
    return {(one.after, one.id, one.depth) for one in found.reached}


EVENTS = [
    output("agent", "agent", span="0a"),
    output("search", "search", span="0b", parent="0a"),
    output("rank", "rank", span="0c", parent="0b"),
    output("mail", "mail", causes=("agent", "rank")),
    output("beside", "mail"),
    output("later", "mail", span="0D", parent="0A"),  # one sender writes capitals
]


@pytest.mark.parametrize("seed", range(3))
def test_spans_and_causes_connect_in_whichever_order_events_come(store: TraceStore, seed: int) -> None:
    events = list(EVENTS)
    random.Random(seed).shuffle(events)
    for k, one in enumerate(events):
        write(store, one, first=k)
    write(store, *events)  # the same messages again
    found = cascade(store, "agent")
    assert steps(found) == {
        ("agent", "search", 1), ("agent", "mail", 1), ("agent", "later", 1), ("search", "rank", 2),
    }  # fmt: skip
    assert found.streams == {"mail": 2, "search": 1, "rank": 1}
    assert (found.at_least, found.circle, found.depth) == (False, (), 2)
    into = partial(store.edges, into=True)
    assert roots_of(["rank", "later", "beside"], [into]) == {"agent", "beside"}


def test_a_cascade_goes_over_days_and_ends_with_them(store: TraceStore) -> None:
    write(store, output("first"), day=DAY)
    write(store, output("second", causes=("first",)), day=DAY + 1, first=1)
    write(store, output("third", causes=("second",)), day=DAY + 9, first=2)
    assert [one.id for one in cascade(store, "first").reached] == ["second", "third"]
    assert store.edges(["first"], 10, since_day=DAY + 2) == []
    store.drop_before(DAY + 2)
    assert cascade(store, "first").reached == []
    assert [one.id for one in cascade(store, "second").reached] == ["third"]


def test_limits_say_at_least(store: TraceStore) -> None:
    write(store, output("root"), *(output(f"e{k}", causes=("root",)) for k in range(50)))
    found = cascade(store, "root", most=10)
    assert (len(found.reached), found.at_least) == (10, True)
    chain = [output(f"c{k}", causes=(f"c{k - 1}",)) for k in range(1, 8)]
    write(store, *chain, first=100)
    found = cascade(store, "c0", deepest=5)
    assert (found.depth, found.at_least) == (5, True)
    assert not cascade(store, "c0").at_least


def test_what_follows_from_itself_ends_and_is_named(store: TraceStore) -> None:
    write(store, output("a", causes=("c",)), output("b", causes=("a",)), output("c", causes=("b", "c")))
    found = cascade(store, "a")
    assert [one.id for one in found.reached] == ["b", "c"]
    assert set(found.circle) == {"a", "b", "c"}
    assert roots_of(["b"], [partial(store.edges, into=True)]) == {"b"}
    write(store, output("d", causes=("x", "y")), output("x", causes=("r",)), output("y", causes=("r",)), first=10)
    assert cascade(store, "r").circle == ()  # two ways to one output are no circle


def test_hostile_ids_and_traces(store: TraceStore) -> None:
    long, odd = "\U0001f600" * 512, "e\0'; drop table edge; --"
    zero = OutputEvent(stream="s", output="o", id="zero", trace=Trace(trace_id=T, span_id="0" * 16, parent_id="0" * 16))
    bare = OutputEvent(stream="s", output="o", id="bare", trace=Trace(span_id="0a", parent_id="0b"))
    huge = OutputEvent(stream="s", output="o", id="huge", trace=Trace(trace_id="t" * 100_000, span_id="\ud800"))
    write(store, output(long), output(odd, causes=(long,)), output("z", causes=(odd,)), zero, bare, huge)
    assert [one.id for one in cascade(store, node(long)).reached] == [node(odd), "z"]
    assert store.edges(["zero", "bare"], 10) == []
    assert len(store.edges(["huge"], 10)) == 1


def test_an_edge_has_its_stream_and_time(store: TraceStore) -> None:
    write(store, output("a"), output("b", "mail", causes=("a",)))
    assert store.edges(["a"], 10) == [Edge("a", "b", EdgeKind.CAUSE, "mail", DAY * 86_400.0 + 1)]
    assert store.edges(["b"], 10, into=True) == store.edges(["a"], 10)
    assert store.edges([], 10) == []


def test_streams_that_come_again_on_the_way_are_counted(store: TraceStore) -> None:
    chain = [output(f"c{k}", "ab"[k % 2], causes=(f"c{k - 1}",)) for k in range(1, 9)]
    write(store, *chain)
    found = follow({"c0": "a"}, [store.edges])
    assert [one.repeats for one in found.reached] == [1, 2, 2, 3, 3, 4, 4, 5]
