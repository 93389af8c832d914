"""What a change means, asked by the names that findings use."""

from __future__ import annotations

import pytest

from monitor.detection.records.declared_features import DeclaredFeatures, family_of, side_of
from monitor.features.base import FeatureSpec, Kind, Role
from monitor.features.registry import default_extractors

DECLARED = DeclaredFeatures(spec for family in default_extractors() for spec in family.features)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("call.latency.total_s", Role.LATENCY),
        ("call.latency.total_s.tail", Role.LATENCY),
        ("output.length.chars.spread", Role.LENGTH),
        ("call.dependency.errors[orders]", Role.DEPENDENCY),
        ("output.embedding.p3", Role.MEANING),
        ("call.session.missing", Role.SESSION),
        ("output.length.missing", Role.LENGTH),  # of a family with several roles: the one that most features have
        ("call.tokens.missing", None),  # as many features of one role as of another
        ("output.any_failure", None),
        ("output.mine.never", None),
    ],
)
def test_every_name_that_a_finding_uses_has_the_role_of_its_feature(name: str, role: Role | None) -> None:
    assert DECLARED.role(name) is role


def test_what_stands_for_a_role_is_the_lowest_lead_and_else_the_first_declared() -> None:
    assert DECLARED.leading(Role.LATENCY) == "call.latency.total_s"
    assert DECLARED.leading(Role.CONTEXT) == "call.context.share"
    assert DECLARED.leading(Role.LENGTH, "input") == DECLARED.input_length == "input.length.chars"
    assert DeclaredFeatures([]).input_length is None
    slow, total = (
        FeatureSpec("call.time.queue_s", Kind.NUMBER, "", role=Role.LATENCY),
        FeatureSpec("call.time.all_s", Kind.NUMBER, "", role=Role.LATENCY, lead=0),
    )
    assert DeclaredFeatures([slow, total]).leading(Role.LATENCY) == total.name


def test_side_and_family_are_the_first_parts_of_a_name() -> None:
    assert (side_of("output.length.chars"), side_of("call.latency.total_s.tail")) == ("output", "call")
    assert (family_of("output.length.chars"), family_of("call.dependency.errors[a.b]")[:15]) == (
        "output.length",
        "call.dependency",
    )


@pytest.mark.parametrize(
    ("roles", "meant"),
    [
        ([Role.STYLE], Role.STYLE),
        ([Role.STYLE, Role.LENGTH], None),
        ([Role.STYLE, Role.LENGTH, Role.STYLE], Role.STYLE),
        ([Role.STYLE, Role.LENGTH, Role.STYLE, Role.LENGTH, Role.FORMAT], None),
        ([Role.STYLE, Role.STYLE, Role.STYLE, Role.LENGTH, Role.LENGTH, Role.FORMAT], Role.STYLE),
    ],
)
def test_missing_values_mean_what_most_of_a_family_does(roles: list[Role], meant: Role | None) -> None:
    specs = [FeatureSpec(f"output.toy.{place}", Kind.NUMBER, "", role=role) for place, role in enumerate(roles)]
    category = FeatureSpec("output.toy.name", Kind.CATEGORY, "", role=Role.FORMAT)
    assert DeclaredFeatures([*specs, category, category]).role("output.toy.missing") is meant


def test_detection_names_no_feature() -> None:
    """Only the columns that detection makes itself have names there."""
    import re
    from pathlib import Path

    import monitor.detection

    own = {"output.any_failure", "output.embedding.distance"}
    named = re.compile(r'"((?:input|output|call)\.[a-z_]+(?:\.[a-z_]*)?)"')
    for path in Path(monitor.detection.__file__).parent.rglob("*.py"):
        assert set(named.findall(path.read_text())) <= own, path
