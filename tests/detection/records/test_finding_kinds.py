"""The table of kinds: complete, and the only place that says what a kind is."""

from __future__ import annotations

import msgspec
import pytest

from monitor.alerting.alert import decode, encode
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import Finding, State
from monitor.detection.records.finding_kinds import KINDS, FindingKind, KindInfo, Trigger, checked
from monitor.features.base import Role


def test_a_kind_without_an_entry_fails_at_import() -> None:
    table = {kind: info for kind, info in KINDS.items() if kind is not FindingKind.VOLUME}
    with pytest.raises(ValueError, match="without an entry in KINDS: volume"):
        checked(table)


@pytest.mark.parametrize(
    ("entry", "lacks"),
    [
        (KindInfo(headline="", meaning="x.", next_steps=("x",), trigger=Trigger.ELSEWHERE), "must not be empty"),
        (KindInfo(headline="X", meaning="", next_steps=("x",), trigger=Trigger.ELSEWHERE), "must not be empty"),
        (KindInfo(headline="X", meaning="x.", next_steps=(), trigger=Trigger.ELSEWHERE), "must not be empty"),
        (KindInfo(headline="X", meaning="x.", next_steps=("x",), trigger=Trigger.CALL), "does not fit its roles"),
        (
            KindInfo(headline="X", meaning="x.", next_steps=("x",), trigger=Trigger.ELSEWHERE, roles=(Role.PRIVACY,)),
            "does not fit its roles",
        ),
        (
            KindInfo(headline="X", meaning="x.", next_steps=("x",), trigger=Trigger.CALL, roles=(Role.LATENCY,)),
            "roles that make two kinds: latency",
        ),
    ],
)
def test_an_incomplete_entry_fails_at_import(entry: KindInfo, lacks: str) -> None:
    with pytest.raises(ValueError, match=lacks):
        checked({**KINDS, FindingKind.VOLUME: entry})


def test_records_that_name_what_is_no_longer_published_can_be_read() -> None:
    alert = sample_alert(State.FIRING)
    old = encode(alert).replace(b'"silent_update"', b'"version_change"').replace(b'"firing"', b'"pending"')
    assert (decode(old).kind, decode(old).state) == (FindingKind.DRIFT, State.INFO)
    with pytest.raises(msgspec.ValidationError):
        decode(encode(alert).replace(b'"silent_update"', b'"no_such_kind"'))
    schema = str(msgspec.json.schema(Finding))
    assert "version_change" not in schema
    assert "pending" not in schema
