from __future__ import annotations

import pytest

from benchmarks.support_traffic import LANGUAGES, Desk
from benchmarks.watching import seeded
from monitor.features.text.endings import is_truncated, kind_of_end
from monitor.features.text.json_texts import read_json


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_complete_answer_of_a_desk_counts_as_cut(language: str) -> None:
    for number in range(4):
        desk = Desk(language, seeded("test", language, number))
        answers = [desk.answer().strip() for _ in range(200)]
        if language == "json":
            assert all(found is not None and found.parses for found in map(read_json, answers))
        else:
            assert [answer[-60:] for answer in answers if is_truncated(answer)] == []
            assert len({kind_of_end(answer) for answer in answers}) > 2


def test_a_desk_answers_alike_for_a_seed() -> None:
    first, again = (Desk("de", seeded("test", 1)) for _ in range(2))
    assert [first.answer() for _ in range(20)] == [again.answer() for _ in range(20)]
