"""The draw: repeatable, nested, uniform, and not to be foreseen without the salt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.judgment.draw import UNIFORM, draw, stratum_of, uniform

SALT = b"an installation's secret"


def test_the_same_output_gets_the_same_number() -> None:
    assert uniform(SALT, "a", "1") == uniform(SALT, "a", "1")
    assert uniform(SALT, "a", "1") != uniform(b"another", "a", "1")
    assert uniform(SALT, "ab", "c") != uniform(SALT, "a", "bc")


def test_the_numbers_are_uniform() -> None:
    numbers = [uniform(SALT, "s", str(k)) for k in range(4_000)]
    tenths = [sum(k / 10 <= u < (k + 1) / 10 for u in numbers) for k in range(10)]
    assert all(330 < count < 470 for count in tenths)  # 400 each, four standard errors


@given(st.floats(0, 0.999), st.floats(0.001, 1), st.floats(0.001, 1))
def test_raising_a_probability_keeps_who_was_drawn(u: float, p: float, q: float) -> None:
    if draw(u, {UNIFORM: min(p, q)}) is not None:
        assert draw(u, {UNIFORM: max(p, q)}) is not None


def test_the_largest_probability_counts_and_the_stratum_names_all_rules() -> None:
    drawn = draw(0.3, {UNIFORM: 0.02, "risky": 0.5})
    assert drawn is not None
    assert (drawn.probability, drawn.stratum, drawn.by_uniform) == (0.5, "risky+uniform", False)
    assert drawn.stratum == stratum_of(["uniform", "risky"])
    assert draw(0.01, {UNIFORM: 0.02, "risky": 0.5}).by_uniform  # type: ignore[union-attr]


def test_a_spent_budget_lowers_all_probabilities_and_is_recorded() -> None:
    assert draw(0.3, {"risky": 0.5}, scale=0.5) is None
    drawn = draw(0.2, {"risky": 0.5}, scale=0.5)
    assert drawn is not None
    assert drawn.probability == 0.25


def test_no_rule_no_draw() -> None:
    assert draw(0.0, {}) is None
