"""Checks on one proposed text: the same verdicts as on every output, and what cannot be decided is said."""

from __future__ import annotations

import pytest

from monitor.actions.messages import GateRequest
from monitor.ledger.open import open_ledger
from monitor.serve.context import Services
from monitor.serve.measure import Measurer, similarity
from monitor.settings import Settings
from monitor.settings.yaml_loader import parse

SETTINGS = """
gate: {kinds: {email: {decide: checked}}}
streams:
  - match: s
    criteria:
      - {name: concise, check: {feature: output.length.words, most: 5}}
      - {name: english, check: {language: [en]}}
      - {name: quick, check: {feature: call.latency.total_s, most: 1}}
      - {name: invoice, check: {json_field: total, type: number}}
      - {name: broken, check: {function: "tests.gate.test_measure:broken"}}
"""


def broken(event: object) -> bool:
    raise RuntimeError("a function of the user's own")


@pytest.fixture(scope="module")
def measurer(tmp_path_factory: pytest.TempPathFactory) -> Measurer:
    ledger = open_ledger(str(tmp_path_factory.mktemp("ledger")))
    made = Measurer(Services(settings=parse(Settings, SETTINGS, name="test", environ={}), ledger=ledger))
    made.start()
    ledger.close()
    return made


def measured(measurer: Measurer, output: str | None) -> tuple[dict[str, str], dict[str, str]]:
    found = measurer.measure(GateRequest(kind="email", stream="s", output=output), checked=True)
    return dict(found.violated), dict(found.undecided)


def test_violations_are_named_and_what_a_text_cannot_tell_is_not_asked(measurer: Measurer) -> None:
    violated, undecided = measured(measurer, "Nous vous remercions de votre commande et restons à votre disposition.")
    assert violated["concise"] == "has output.length.words above 5"
    assert {"concise", "english", "invoice"} == violated.keys()
    assert undecided == {"broken": "a function of a check failed"}


def test_a_field_that_is_there_violates_nothing(measurer: Measurer) -> None:
    violated, _ = measured(measurer, '{"total": 12.5}')
    assert "invoice" not in violated


def test_without_a_text_nothing_is_decided(measurer: Measurer) -> None:
    violated, undecided = measured(measurer, None)
    assert violated == {}
    assert undecided["concise"] == "there is no text"


def test_other_streams_have_no_checks_and_texts_are_compared(measurer: Measurer) -> None:
    texts = ["Your invoice is due on Friday.", "Please note that the invoice is due Friday.", "The cat sat on the mat."]
    asked = [GateRequest(kind="email", stream="other", output=text) for text in texts]
    one, two, three = (measurer.measure(each, checked=True) for each in asked)
    assert (one.violated, one.undecided) == ((), ())
    assert similarity(one.embedding, two.embedding) > 0.6 > similarity(one.embedding, three.embedding)
    assert similarity(one.embedding, b"") == 0.0
