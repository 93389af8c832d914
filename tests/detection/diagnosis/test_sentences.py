"""What a change is said as: by what its two sides are, in words that need no feature's name."""

from __future__ import annotations

import random

import pytest

from monitor.detection.diagnosis.sentences import counted, sentence, share
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import ANY, DIFFERS, PRESENT, FeatureChange
from monitor.features.change_words import change_words
from monitor.features.registry import default_extractors
from monitor.statistics.rates import wilson

DECLARED = DeclaredFeatures(spec for family in default_extractors() for spec in family.features)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (FeatureChange("output.length.words", 31, 68, 4.0), "Answers are longer: 31 to 68 words"),
        (FeatureChange("output.length.words", 68, 31, -4.0), "Answers are shorter: 68 to 31 words"),
        (
            FeatureChange("output.tone.refusal", 0.12, 0.0125, -4.0, events=240),
            "Fewer refusals: 12 % to 1.2 % (3 of 240)",
        ),
        (
            FeatureChange("output.length.empty", 0.0, 0.03125, 4.0, events=64),
            "Answers are empty in 3.1 % (2 of 64 so far, 1 to 11 %)",
        ),
        (
            FeatureChange("output.language.code", 0.0, 1.0, 9.0, value="de", usual="en", events=4),
            "Answers are in German instead of English",
        ),
        (
            FeatureChange("output.language.code", 0.0, 0.2, 9.0, value="de", usual="en", events=400),
            "Answers are in German in 20 % (80 of 400)",
        ),
        (
            FeatureChange("output.tone.exclamations", 0.03, 0.67, 9.0, statistic=ANY, events=300),
            "Exclamation marks in 67 % (201 of 300), 3 % before",
        ),
        (
            FeatureChange("output.length.lines", 0.0, 0.04, 2.0, value="1", statistic=DIFFERS, events=250),
            "Lines: other than 1 lines in 4 % (10 of 250)",
        ),
        (
            FeatureChange("output.tone.emoji", 0.0, 1.0, 9.0, statistic=PRESENT, events=300),
            "Emoji can be measured in 100 % (300 of 300), 0 % before",
        ),
        (
            FeatureChange("output.format.starts_with", 0.0, 1.0, 9.0, value="letter", usual="json", events=300),
            "JSON answers have text in front in 100 % (300 of 300)",
        ),
        (
            FeatureChange("output.format.starts_with", 0.0, 0.5, 9.0, value="fence", usual="json", events=300),
            "JSON answers are in a code fence in 50 % (150 of 300)",
        ),
        (FeatureChange("output.length.chars", 155.1, 64.93, -9.0), "Answers are shorter: 155 to 65 characters"),
        (
            FeatureChange("output.length.words.tail", 0.02, 0.12, -3.0, value="below 9 words", events=300),
            "Some answers are shorter: 12 % (36 of 300) below 9 words, 2 % before",
        ),
        (
            FeatureChange("output.tone.hedging.tail", 0.02, 0.12, 3.0, value="above 6 per 100 words", events=300),
            "More hedging words in some answers: 12 % (36 of 300) above 6 per 100 words, 2 % before",
        ),
        (
            FeatureChange("call.latency.total_s.tail", 0.002, 0.12, 3.0, value="above 2 s", events=300),
            "Slower answers in some calls: 12 % (36 of 300) above 2 s, 0.2 % before",
        ),
        (
            FeatureChange("output.facts.currency", 0.75, 1.0, 3.0, value="none", usual="EUR", events=300),
            "Answers state no amount of money in 100 % (300 of 300), 75 % before",
        ),
        (
            FeatureChange(
                "output.format.json_shape", 0.0, 1.0, 9.0, value="{a:num,b~1f2e", usual="{a:num,b~9c0d", events=300
            ),
            "JSON answers have other keys or types in 100 % (300 of 300)",
        ),
        (
            FeatureChange("output.json.key[priority]", 0.0, 1.0, 9.0, value="none", usual="str", events=300),
            "JSON key `priority` is missing in 100 % (300 of 300)",
        ),
        (
            FeatureChange("output.json.key[confidence]", 0.0, 1.0, 9.0, value="str", usual="num", events=300),
            "JSON key `confidence` is of type str instead of num",
        ),
        (
            FeatureChange(
                "output.format.json_shape", 0.0, 1.0, 9.0, value="{a:num,c:[str]}", usual="{a:num,b:[str]}", events=300
            ),
            "JSON key `b` is called `c` in 100 % (300 of 300)",
        ),
        (
            FeatureChange("output.format.json_valid", 1.0, 0.4, -9.0, events=10),
            "Answers are not valid JSON in 60 % (6 of 10 so far, 31 to 83 %)",
        ),
        (FeatureChange("call.latency.total_s", 2.0, 1.0, -9.0), "Faster answers: 2 to 1 s"),
        (
            FeatureChange("call.dependency.errors[orders]", 0.0, 0.5, 9.0, events=400),
            "Dependency orders fails in 50 % of its calls (200 of 400)",
        ),
    ],
)
def test_a_change_is_said_in_words(change: FeatureChange, said: str) -> None:
    assert sentence(change, DECLARED) == said


def test_every_declared_feature_has_words() -> None:
    for name, spec in DECLARED.items():
        words = change_words(name, spec)
        assert words.topic != name, f"{name} needs an entry in monitor.features.change_words.WORDS"


def test_a_share_carries_its_count_and_below_200_events_its_interval() -> None:
    draws = random.Random(5)
    for _ in range(200):
        n = draws.randint(1, 384)
        hits = draws.randint(0, n)
        change = FeatureChange("output.length.empty", 0.0, float(f"{hits / n:.4g}"), 3.0, events=n)
        text = counted(change)
        assert text.startswith(f" ({hits} of {n}")
        interval = wilson(hits, n)
        assert (f"{100 * interval.low:.0f} to {100 * interval.high:.0f} %" in text) is (n < 200)


def test_shares_are_rounded_as_people_read_them() -> None:
    assert [share(value) for value in (0.0, 0.0031, 0.03, 0.0312, 0.0996, 0.57, 1.0)] == [
        "0 %", "0.3 %", "3 %", "3.1 %", "10 %", "57 %", "100 %"
    ]  # fmt: skip
