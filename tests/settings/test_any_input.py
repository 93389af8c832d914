"""Whatever stands in the file, the answer is settings or a `ConfigError` whose lines name lines of the file."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from monitor.detection.settings import DetectionSettings
from monitor.errors import ConfigError
from monitor.settings import Settings
from monitor.settings.yaml_loader import parse

KEYS = st.sampled_from(
    [
        *Settings.model_fields,
        *DetectionSettings.model_fields,
        "match", "type", "name", "url", "urls", "secret", "headers", "template", "timeout", "bootstrap", "partitions",
        "retention", "outputs", "<<", "nonsense", "",
    ]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["log", "webhook", "alertmanager", "1 per 30d", "7d", "${HOME}", "${", "$${x}", "*", "http://x"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def answer(text: str) -> None:
    try:
        settings = parse(Settings, text, name="monitor.yaml", environ={"HOME": "h"})
    except ConfigError as error:
        lines = str(error).splitlines()
        assert lines
        for line in lines:
            match = re.match(r"monitor\.yaml(:(\d+))?( |: )", line)
            assert match, line
            assert match[2] is None or 1 <= int(match[2]) <= len(text.splitlines()) + 1
    else:
        settings.for_stream("any")


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_structure(data: dict[str, object]) -> None:
    answer(yaml.safe_dump(data))


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    answer(text)


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.data())
def test_any_damaged_file(data: dict[str, object], choose: st.DataObject) -> None:
    text = yaml.safe_dump(data)
    start = choose.draw(st.integers(0, len(text)))
    end = choose.draw(st.integers(start, len(text)))
    answer(text[:start] + choose.draw(st.text("[]{}:&*!|>'\"-#\t\n x", max_size=4)) + text[end:])


@pytest.mark.parametrize(
    "text", ['a: "\\UFFFFFFFF"', 'a: "\\U00110000"', "a: 2001-99-99", "a: 0b", "a: 1_:_", "a: !!int x", "a: !!float y"]
)
def test_what_pyyaml_itself_stumbles_over(text: str) -> None:
    answer(text)
