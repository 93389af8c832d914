"""Evaluators in the settings: what is refused with its line, and what is only doubtful."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.settings.test_checks import check

CRITERION = "streams: [{match: s, criteria: [{name: good, pass: answers, evaluator: main}]}]\n"
CHAT = "kind: chat, name: main, model: m"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "streams:\n  - match: s\n    criteria:\n      - {name: good, pass: answers,\n         evaluator: mian}\n"
            f"evaluators: [{{{CHAT}, url: 'http://localhost/v1'}}]\n",
            "5 streams[0].criteria[0].evaluator: no evaluator is called mian, did you mean `main`?",
        ),
        (
            CRITERION,
            "1 streams[0].criteria[0].evaluator: no evaluator is called main: the section `evaluators` is empty",
        ),
        (
            CRITERION + "evaluators:\n  - {kind: classifier, name: main}\n  - {kind: classifier, name: main}\n",
            "4 evaluators[1].name: two evaluators have the same name: main",
        ),
        (
            CRITERION.replace("main}", "main,\n people: {}}") + "evaluators: [{kind: classifier, name: main}]\n",
            "2 streams[0].criteria[0].people: needs store.location",
        ),
        (
            CRITERION.replace("main}", "main,\n people: {failed: 0}}")
            + "evaluators: [{kind: classifier, name: main}]\n",
            "2 streams[0].criteria[0].people.failed: ",
        ),
        (
            "streams: [{match: s, criteria: [{name: good, check: {contains: a},\n people: {}}]}]\n",
            "2 streams[0].criteria[0].people: is for criteria with an `evaluator`",
        ),
        (f"evaluators:\n  - {{{CHAT}}}\n", "2 evaluators[0].url: "),
        ("evaluators:\n  - {kind: chatt, name: main}\n", "2 evaluators[0]: kind must be one of 'chat'"),
        (f"evaluators:\n  - {{{CHAT}, url: 'http://localhost', api_key: ''}}\n", "2 evaluators[0].api_key: "),
        (
            f"evaluators:\n  - {{{CHAT}, url: 'http://localhost', api_key_file: /no/such}}\n",
            "2 evaluators[0].api_key_file: /no/such cannot be read",
        ),
        (
            f"evaluators:\n  - {{{CHAT}, url: 'http://localhost',\n     spend: {{usd_per_day: 3}}}}\n",
            "3 evaluators[0].spend.usd_per_day: needs `prices`",
        ),
        (
            f"evaluators:\n  - {{{CHAT}, url: 'http://localhost', texts: {{output: none}}}}\n",
            "2 evaluators[0].texts.output: must be full or masked",
        ),
        ("judging: {salt: s, salt_file: f}\n", "1 judging.salt_file: is set as well as salt"),
    ],
)
def test_mistakes_are_refused_with_line_and_key(tmp_path: Path, text: str, error: str) -> None:
    errors, _ = check(tmp_path, text)
    assert len(errors) == 1
    assert errors[0].startswith(error)


@pytest.mark.parametrize(
    ("evaluators", "warnings"),
    [
        (f"{{{CHAT}, url: 'https://api.example.org/v1'}}", []),
        (f"{{{CHAT}, url: 'http://127.0.0.1:8000/v1'}}", []),
        (f"{{{CHAT}, url: 'http://vllm:8000/v1'}}", []),
        (f"{{{CHAT}, url: 'http://api.example.org/v1'}}", ["2 evaluators[0].url: is not encrypted"]),
        (
            f"{{{CHAT}, url: 'https://api.example.org/v1'}}, {{kind: classifier, name: spare}}",
            ["2 evaluators[1].name: no criterion names the evaluator spare"],
        ),
    ],
)
def test_what_is_doubtful_is_said(tmp_path: Path, evaluators: str, warnings: list[str]) -> None:
    errors, found = check(tmp_path, f"{CRITERION}evaluators: [{evaluators}]\n")
    assert errors == []
    assert len(found) == len(warnings)
    assert all(line.startswith(start) for line, start in zip(found, warnings, strict=True))
