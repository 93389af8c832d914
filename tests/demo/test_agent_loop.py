"""The loop of agents in the demo, offline: found in the trace store as what it is; without it, nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cascade.excess import Excess
from monitor.demo.assistant import ANSWER, SupportAssistant
from monitor.demo.faults import Fault
from monitor.settings.cascades import Cascades
from monitor.store.open import open_store
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming, Place
from pipelines.cascades.look import Exceeded, exceeded

START = 1.7e9
BEFORE, SINCE = 200, 60


def found(folder: Path, fault: Fault) -> list[Exceeded]:
    assistant = SupportAssistant(7)
    events = [assistant.event(START + k, fault if k >= BEFORE else Fault.NONE) for k in range(BEFORE + SINCE)]
    made = Incoming()
    made.add_outputs([(one, Place("topic", 0, k, START + k)) for k, one in enumerate(events)], Privacy())
    store = open_store(str(folder))
    try:
        store.write(made)
        return exceeded(store, None, [one.id or "" for one in events], Cascades(), START + BEFORE + SINCE)
    finally:
        store.close()


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.SILENT_UPDATE, Fault.AGENT_LOOP])
def test_a_loop_of_agents_is_found_and_nothing_else_is(tmp_path: Path, fault: Fault) -> None:
    too_much = found(tmp_path, fault)
    if fault is not Fault.AGENT_LOOP:
        assert too_much == []
        return
    [one] = too_much
    assert (one.excess, one.tally.stream) == (Excess.LOOP, ANSWER)
    assert BEFORE < int(one.tally.root.removeprefix("demo-")) <= BEFORE + 5
    assert SINCE - 6 < one.tally.outputs < SINCE
