"""Writes `config/monitor.yaml`: every setting with its default and its meaning, from the models and the sinks.

python -m scripts.settings_example > config/monitor.yaml
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from pydantic import BaseModel

from monitor.evaluators.config import EvaluatorConfig
from monitor.evaluators.registry import EVALUATORS, kind_of
from monitor.settings import Settings
from monitor.sinks.config import PeopleSinkConfig
from monitor.sinks.registry import SINKS, SinkType

HEADER = """\
# Settings of the output quality monitor. Every line shows a default; delete what you leave as it is.
# `oqm check-config FILE` reports every mistake with its line. Written by `python -m scripts.settings_example`.
# Durations: 250ms, 30s, 15m, 12h, 7d, 2w. Any string value may use ${NAME} from the environment, for secrets;
# $${ stands for a literal ${. Every secret may also stand in a file, without a line break at its end: `password_file`
# in place of `password`. SIGHUP makes a worker read this file again; its log says what of a change needs a restart.
"""

EXAMPLES = {
    "streams": """\
# Each entry may set any key of `detection`, and:
#   - match: "support-*"              # glob on the stream's name (required)
#     owner: team-support             # owner of these streams
#     route: support                  # which sinks get their alerts (sinks[].routes)
#     alert_budget: 1 per 7d
#     floors: {flag: 0.05}
#     exclude: ["output.repetition.*"]
#     criteria:                       # checked on every output (docs/howto/check_outputs.md)
#       - {name: has_total, check: {json_field: order.total, type: number}}
#       - {name: concise, check: {feature: output.length.words, most: 120}}
#       - name: answers             # judged by an evaluation model on a sample (docs/howto/judge_outputs.md)
#         pass: addresses what was asked and states nothing that the input does not support
#         evaluator: main           # evaluators[].name
#         sample: {uniform: 0.02, risky: 0.5}   # of all outputs; of those with a failure flag (refusal, failed check)
#         people: {passed: 0.05, failed: 0.5}   # of what it judged, drawn for review (docs/howto/review.md)
#         anchors: anchors/answers.jsonl    # labelled outputs, by which the evaluator itself is watched
""",
    "maintenance": """\
#   - match: "batch/*"                # glob on the stream's name; none: every stream
#     start: 2026-11-28T22:00:00Z     # once; with its time zone
#     end: 2026-11-29T02:00:00Z
#     reason: new tokenizer
#   - match: "nightly-*"
#     weekly: {days: [sat, sun], start: "23:00", end: "05:30", timezone: Europe/Vienna}
""",
    "evaluators": "# Keys of every kind that is asked over HTTP: see docs/howto/judge_outputs.md. Kinds:\n",
    "sinks": "# Keys of every sink: name (unique), routes (globs), min_severity (info, warning, critical).\n",
}
"""What a list may hold, shown as comments because its default is empty or short."""

PART_EXAMPLES = {
    "gate": """\
#   kinds:                          # other keys of a kind: docs/howto/gate.md
#     draft: {decide: pass, on_timeout: pass, on_monitor_down: pass}
#     email:
#       decide: checked             # pass, checked, approval
#       hold_if: [check, drift, duplicate, unsure]
#       requires: [key]
#       expires: 4h
#     record: {decide: checked, requires: [key, undo], on_unknown: retry, downstream_key: true}
#     money:
#       decide: approval            # a person approves every time, however sure the application is
#       two_above: 1000             # by the declared field `amount`
#       requires: [key]
#       expires: 24h
#       warn_before: 2h
#       on_timeout: fall_back
#       on_monitor_down: fall_back
#   attempts:
#     voice_intent: {most: 2, then: hand_over}
""",
}
"""What a section of mappings may hold."""

_COLUMN = 42
_WIDTH = 120


def example() -> str:
    """The text of `config/monitor.yaml`."""
    return HEADER + "".join(_section(Settings(), ""))


def _section(model: BaseModel, indent: str) -> Iterator[str]:
    values = model.model_dump(mode="json")
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        meaning = field.description or (type(value).__doc__ or "").strip().splitlines()[0] if _is_part(value) else ""
        meaning = meaning or field.description or ""
        if not indent:
            yield "\n"
        if _is_part(value):
            yield _line(f"{indent}{name}:", meaning)
            if not indent:
                yield from PART_EXAMPLES.get(name, "").splitlines(keepends=True)
            yield from _section(value, indent + "  ")
        elif name in EXAMPLES and not indent:
            yield from (f"# {line}\n" for line in textwrap.wrap(meaning[0].upper() + meaning[1:] + ".", _WIDTH - 2))
            yield from EXAMPLES[name].splitlines(keepends=True)
            if name == "sinks":
                yield from sink_examples(SINKS)
            if name == "evaluators":
                yield from evaluator_examples(EVALUATORS)
            yield _items(name, values[name])
        else:
            yield _line(f"{indent}{name}: {_scalar(values[name])}", meaning)


def sink_examples(kinds: Sequence[SinkType]) -> Iterator[str]:
    """Comments that show an entry of `sinks` for each type: the examples of the sinks' own configurations."""
    by_per: dict[str, list[str]] = {"incident": [], "alert": []}
    for kind in kinds:
        if issubclass(kind.config, PeopleSinkConfig):
            by_per[kind.config.model_fields["per"].default].append(kind.name)
    words = (
        f"{', '.join(by_per['incident'])}: one message for one cause in many streams (per: incident); "
        f"{', '.join(by_per['alert'])}: one per alert (per: alert). A route that no sink takes is an error. Types:"
    )
    yield from (f"# {line}\n" for line in textwrap.wrap(words, _WIDTH - 2))
    for kind in kinds:
        yield f"#   {f'- type: {kind.name}':<34}# monitor/sinks/{kind.name}/README.md\n"
        yield from (f"#     {line}\n" for line in kind.config.EXAMPLE.splitlines())


def evaluator_examples(configs: Sequence[type[EvaluatorConfig]]) -> Iterator[str]:
    """Comments that show an entry of `evaluators` for each kind."""
    for config in configs:
        yield f"#   - kind: {kind_of(config)}\n"
        yield from (f"#     {line}\n" for line in config.EXAMPLE.splitlines())


def _is_part(value: object) -> bool:
    return isinstance(value, BaseModel)


def _items(name: str, value: list[dict[str, Any]]) -> str:
    if not value:
        return f"{name}: []\n"
    return f"{name}:\n" + "".join(f"  - {_scalar(item)}\n" for item in value)


def _scalar(value: object) -> str:
    """`value` on one line; a string only in quotes where YAML would read it as something else."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("...").strip()


def _line(text: str, meaning: str) -> str:
    if not meaning:
        return text + "\n"
    comment = f"{text:<{_COLUMN - 2}}  # {meaning}"
    if len(comment) <= _WIDTH:
        return comment + "\n"
    indent = text[: len(text) - len(text.lstrip())]
    return "".join(f"{indent}# {line}\n" for line in textwrap.wrap(meaning, _WIDTH - len(indent) - 2)) + text + "\n"


if __name__ == "__main__":
    sys.stdout.write(example())
