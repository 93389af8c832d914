"""The contract of a trace store, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from monitor.events.redaction import mask, mask_each
from monitor.events.schema import Call, Model, OutputEvent, Prompt, Session, Trace
from monitor.store import migrate
from monitor.store.base import StoreError, TraceStore
from monitor.store.kept_form import is_hashed
from monitor.store.open import open_store
from monitor.store.privacy import FieldPolicy, Keep, Privacy
from monitor.store.query import Search
from monitor.store.records import Incoming, Place
from monitor.store.tables import metadata

DAY = 20_000
NOON = DAY * 86_400.0 + 43_200.0


@pytest.fixture
def store(address: str) -> Iterator[TraceStore]:
    opened = open_store(address)
    yield opened
    opened.close()


def event(number: int, **fields: object) -> OutputEvent:
    given = {"stream": "shop/answers", "output": f"answer {number}", "input": f"question {number}", **fields}
    return OutputEvent(id=f"e{number}", time=NOON + number, **given)  # type: ignore[arg-type]


def incoming(events: list[OutputEvent], first: int = 0, day: int = DAY, privacy: Privacy | None = None) -> Incoming:
    made = Incoming()
    noon = day * 86_400.0 + 43_200.0
    placed = [(one, Place("topic-id", 0, position, noon)) for position, one in enumerate(events, start=first)]
    made.add_outputs(placed, privacy or Privacy())
    made.positions["topic-id", 0] = first + len(events)
    return made


def test_what_is_written_is_found_whole(store: TraceStore) -> None:
    one = event(
        1,
        model=Model(provider="p", name="m", version="v7"),
        prompt=Prompt(name="answer", version="3", text="Be brief."),
        session=Session(id="s-1", turn=2),
        trace=Trace(trace_id="ab" * 16),
        calls=[Call(dependency="search", status=200, duration_s=0.5)],
        attributes={"tenant": "north"},
        extra={"unknown": [1, {"x": "y"}]},
    )
    store.write(incoming([one]))
    (found,) = store.find("e1")
    assert (found.stream, found.input, found.output, found.prompt_text) == (
        "shop/answers", "question 1", "answer 1", "Be brief.",
    )  # fmt: skip
    assert found.version == "m v7, answer 3"
    assert found.fields["calls"] == [{"dependency": "search", "status": 200, "duration_s": 0.5}]
    assert found.fields["attributes"] == {"tenant": "north"}
    assert found.fields["unknown"] == [1, {"x": "y"}]
    assert "text" not in found.fields["prompt"]
    assert store.find("absent") == []


def test_a_message_that_comes_twice_is_one_row_and_positions_never_go_back(store: TraceStore) -> None:
    events = [event(n) for n in range(10)]
    store.write(incoming(events))
    store.write(incoming(events[:5]))
    store.write(incoming(events[3:], first=3))
    assert len(store.search(Search(limit=100))) == 10
    assert store.positions("topic-id") == {0: 10}
    assert store.positions("another") == {}


def test_search(store: TraceStore) -> None:
    events = [
        event(n, stream="shop/answers" if n % 2 else "mail_drafts", model=Model(name="m", version=f"v{n // 5}"))
        for n in range(10)
    ]
    made = incoming(events)
    for criterion in ("short", "concise"):
        made.violations.append({**Place("topic-id", 0, 4, NOON).columns(), "criterion": criterion})
    store.write(made)

    def ids(**search: object) -> list[str]:
        return [one.id for one in store.search(Search(**search))]  # type: ignore[arg-type]

    assert ids(limit=3) == ["e9", "e8", "e7"]
    assert ids(stream="shop/answers") == ["e9", "e7", "e5", "e3", "e1"]
    assert ids(stream="mail*", since=NOON + 6) == ["e8", "e6"]
    assert ids(stream="mail.drafts") == []
    assert ids(stream="m_il*") == []
    assert ids(until=NOON + 2) == ["e1", "e0"]
    assert ids(version="V1", until=NOON + 7) == ["e6", "e5"]
    assert ids(text="ANSWER 7") == ["e7"]
    assert ids(text="%") == []
    assert ids(check="concise") == ["e4"]
    assert store.find("e4")[0].violations == ["concise", "short"]


def test_a_day_ends_as_a_whole(store: TraceStore) -> None:
    store.write(incoming([event(1)], day=DAY))
    store.write(incoming([event(2)], first=1, day=DAY + 1))
    assert store.drop_before(DAY + 1) == 1
    assert [one.id for one in store.search(Search())] == ["e2"]
    store.write(incoming([event(3)], first=2, day=DAY))  # late messages of a day that ended make it again
    assert [one.id for one in store.search(Search())] == ["e3", "e2"]


def test_hostile_texts_are_stored(store: TraceStore) -> None:
    texts = ["a\0b", "\ud800", "x" * 1_000_000, "'; drop table output; --", "\U0001f600"]
    store.write(incoming([event(n, output=one, attributes={one[:9]: one}) for n, one in enumerate(texts)]))
    found = [store.find(f"e{n}")[0].output for n in range(len(texts))]
    assert found == ["a\ufffdb", "?", *texts[2:]]


def test_ids_and_hashes_that_a_database_refuses_stop_nothing(store: TraceStore) -> None:
    long = Prompt(hash="h" * 1_000, text="Be brief.")
    odd = event(1, prompt=long, session=Session(id="s\0"), trace=Trace(trace_id="\0"))
    odd.id = "e\0"
    store.write(incoming([odd, event(2, prompt=long)]))
    found = store.search(Search())
    assert [one.id for one in found] == ["e2", "e\ufffd"]
    assert [one.prompt_text for one in found] == ["Be brief."] * 2


@pytest.mark.parametrize("address", ["postgres"], indirect=True)  # one worker alone writes SQLite
def test_a_day_that_another_worker_dropped_is_made_again(address: str) -> None:
    first, second = open_store(address), open_store(address)
    first.write(incoming([event(1)]))
    second.write(incoming([event(2)], first=1))
    assert second.drop_before(DAY + 1) == 1
    late = incoming([event(3)], first=2)
    try:
        first.write(late)
    except StoreError:
        first.write(late)  # as the writer does, which tries until the store answers
    assert "e3" in [one.id for one in second.search(Search())]
    first.close()
    second.close()


def test_a_reader_writes_nothing_and_sees_what_is_there(address: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no trace store|schema none"):
        open_store(address, read_only=True).search(Search())
    writer = open_store(address)
    writer.write(incoming([event(1)]))
    reader = open_store(address, read_only=True)
    assert [one.id for one in reader.search(Search())] == ["e1"]
    writer.write(incoming([event(2)], first=1))
    assert [one.id for one in reader.search(Search())] == ["e2", "e1"]
    with pytest.raises(StoreError):
        reader.write(incoming([event(3)], first=2))
    reader.close()
    writer.close()


@pytest.mark.parametrize(
    "wrong", ["mysql://x/y", "postgresql://127.0.0.1:notaport/x", "postgresql://u:secret@127.0.0.1:1/x"]
)
def test_an_address_that_leads_nowhere_is_said_without_its_password(wrong: str) -> None:
    with pytest.raises(StoreError) as raised:
        open_store(wrong)
    assert "secret" not in str(raised.value)


def test_migrations_lead_to_the_tables_of_the_code(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with engine.begin() as connection:
        migrate.upgrade(connection)
        migrate.upgrade(connection)  # nothing to do
    found = inspect(engine)
    for table in metadata.sorted_tables:
        columns = {c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table.name)}
        assert columns == {c.name: (str(c.type.compile(engine.dialect)), bool(c.nullable)) for c in table.columns}
        assert {i["name"] for i in found.get_indexes(table.name)} == {i.name for i in table.indexes}
        assert found.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
        with pytest.raises(StoreError, match="newer version"):
            migrate.upgrade(connection)
    engine.dispose()


def test_a_store_of_the_first_version_is_brought_up_to_date_with_all_its_days(address: str) -> None:
    writer = open_store(address)
    writer.write(incoming([event(1)], day=DAY))
    writer.write(incoming([event(2)], first=1, day=DAY + 1))
    writer.close()
    is_folder = not address.startswith("postgresql")
    files = [f"sqlite:///{path}" for path in Path(address).glob("*.sqlite")] if is_folder else []
    for url in files or [address.replace("postgresql://", "postgresql+psycopg://")]:
        engine = create_engine(url)
        with engine.begin() as connection:
            for table in ("judgment", "seen", "checked", "counted", "feedback"):
                connection.execute(text(f"drop table {table}"))
            connection.execute(text("update alembic_version set version_num = '0001'"))
        engine.dispose()
    with pytest.raises(StoreError, match="start a worker"):
        open_store(address, read_only=True).search(Search())
    open_store(address).close()  # as a worker does at its start; it writes to none of the days that have ended
    reader = open_store(address, read_only=True)
    assert [one.id for one in reader.search(Search())] == ["e2", "e1"]
    assert reader.judgments("e1") == []
    reader.close()


def test_privacy_decides_what_is_kept() -> None:
    secret = "My card is 4111 1111 1111 1111, call me."
    privacy = Privacy(
        hash_key="key",  # type: ignore[arg-type]
        fields=(
            FieldPolicy(match="hashed", input=Keep.HASH, output=Keep.NONE, prompt=Keep.NONE, attributes=Keep.NONE),
            FieldPolicy(match="full", input=Keep.FULL),
        ),
    )
    made = incoming(
        [
            event(0, stream="any", input=secret, attributes={"note": secret}),
            event(1, stream="full", input=secret),
            event(2, stream="hashed", input=secret, attributes={"note": secret}, prompt=Prompt(text=secret)),
            event(3, stream="hashed", input=secret),
        ],
        privacy=privacy,
    )
    masked, full, hashed, again = made.outputs
    assert masked["input"].startswith("My card is [masked")
    assert "4111" not in masked["fields"]
    assert full["input"] == secret
    assert hashed["output"] is None
    assert hashed["input"] == again["input"] != secret
    assert hashed["input"].startswith("hash:")
    assert is_hashed(hashed["input"])
    assert not is_hashed(masked["input"])
    assert "4111" not in str(hashed)
    assert made.prompts == {}


def test_calls_and_steps_keep_what_came_back_masked_and_bounded(store: TraceStore) -> None:
    body = {"customer": {"mail": "ann@example.com", "password": "hunter2", "pin": 4711, "total": 4711}, "rows": [1, 2]}
    one = event(
        1,
        calls=[
            Call(dependency="crm", status=200, duration_s=0.2, time="2026-11-30T09:12:44Z", response=body),
            Call(dependency="search", status=500, error="boom", response=["hit " * 10] * 1_000),
        ],
        steps=[{"name": "plan", "duration_s": 0.1, "output": "y" * 9_000}, {"note": "z" * 9_000}],
    )
    store.write(incoming([one]))
    (found,) = store.find("e1")
    crm, search = found.fields["calls"]
    assert (crm["status"], crm["duration_s"], crm["time"]) == (200, 0.2, "2026-11-30T09:12:44Z")
    assert crm["response"]["customer"] == {
        "mail": "[masked email]", "password": "[masked secret]", "pin": "[masked secret]", "total": 4711,
    }  # fmt: skip
    assert crm["response"]["rows"] == [1, 2]
    assert search["response"].startswith('["hit hit')
    assert len(search["response"]) < 4_100
    assert all(len(str(step)) < 4_200 for step in found.fields["steps"])
    assert found.fields["steps"][0]["output"].endswith("[cut: 9,000 characters]")


def test_texts_masked_together_are_masked_as_alone() -> None:
    texts = ["plain words", "mail bob@example.com", "", "key sk-abc123def456ghi789", "tel. +49 170 1234567", "\ud800 x"]
    assert mask_each(texts) == [mask(text.encode("utf-8", "replace").decode()) for text in texts]
