"""Placeholders that nobody filled in: `{customer_name}`, `[Your Name]`, `<INSERT DATE>`, `%s`, `undefined`, ...

Looked for in prose: code, in fences or between backticks, is full of them by right. So is a template that was asked
for, so bracketed names do not count where the input asks for a template, a form or the draft of a letter, and nothing
counts that the input itself holds. What programs print in place of a value (`undefined`, `null`, `NaN`, `None`) counts
where a value would stand: after a greeting, a currency, `#` or a colon; `null` is a word of many a good answer.

May import its neighbours in this package only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.families.dependencies import clean
from monitor.features.text.words import EventBatch

MAX_CHARACTERS = 50_000  # of one output that are looked at; all expressions are linear, and this bounds the constant
LONGEST_SHOWN = 40  # characters: longer ones are no name of a variable
NONE = "none"

_OPENER = re.compile(r"[{\[<%$](?=[^\W\d]|[{%=( ]|\d[}$]|\Z)")
"""Where a placeholder may begin, with what may come next; `{"` of JSON, `$24` and `[1]` cost no more than this."""
_WORD = re.compile(r"TODO|FIXME|TBD|(?i:lorem)|undefined|null|NaN|None")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,200}`", re.DOTALL)
_NAMED = (
    r"your|insert|enter|add|put|fill|customer|client|company|first|last|full|user|recipient|sender|name|date|time|order|"
    r"product|item|phone|e-?mail|address|amount|price|title|number|city|country|placeholder|link|url|reason|ihr|ihre|"
    r"kunde|firma|vorname|nachname|datum|bestell|betrag|tu|su|nombre|fecha|cliente|empresa|pedido|votre|nom|prénom|"
    r"société|seu|sua|nome|data|имя|ваше|дата|компания|お客様|氏名|名前|日付|姓名|客户|日期|公司"
)
_LABELS = (
    r"info|warn|warning|error|debug|trace|ok|sic|inst|note|source|citation|inaudible|music|applause|laughs|redacted"
)
_BRACKETED = re.compile(
    rf"\[(?:(?i:{_NAMED})(?![\w])[^\[\]\n]{{0,50}}|(?!(?i:{_LABELS})\])[A-Z][A-Z0-9_ ]{{2,40}})\](?![(:\[])"
    rf"|<(?:(?i:insert|enter|your|add|fill)[ _-][^<>\n]{{1,50}}|[a-z]{{2,20}}(?:_[a-z0-9]{{1,20}}){{1,4}}"
    rf"|(?:name|username|company|email|customer|number|amount|NAME|USERNAME|COMPANY|EMAIL|CUSTOMER|NUMBER|AMOUNT)"
    rf"|[A-Z]{{2,20}}(?:[_ ][A-Z0-9]{{1,20}}){{1,5}})>"
)
_VARIABLE = re.compile(
    r"(?<![\w\\}\])^$])(?:\{\{\{?\s{0,3}[^\W\d][\w.\- |]{0,60}\s{0,3}\}\}\}?|\{[^\W\d]\w{2,40}(?:\.\w{1,40}){0,3}\}"
    r"|\{\d\})"
    r"|\$\{[^\W\d][\w.]{0,40}\}|\$(?:[A-Z]{2,20}_[A-Z_]{2,30}|NAME|USER|USERNAME|EMAIL|DATE|ORDER|AMOUNT|COMPANY)(?!\w)"
    r"|<%=?[^%<>\n]{1,60}%>|\{%[^%{}\n]{1,60}%\}"
    r"|(?<![\w%])%(?:(?:\d\$)?[sd](?![\w%])|\([^\W\d]\w{0,40}\)[sd]|[^\W\d]\w{2,30}%(?!\w))"
    r"|\[object [A-Z]\w{2,20}\]"
)
_NOTE = re.compile(r"\bTODO\b(?=[:(\]])|\bFIXME\b|\bTBD\b|(?i:lorem ipsum)")
_GREETINGS = r"dear|hello|hi|hey|hallo|liebe|lieber|guten tag|hola|estimado|estimada|bonjour|cher|chère|olá|caro|привет"
_EMPTY = re.compile(
    rf"(?:(?<!\w)(?i:{_GREETINGS})[ ,]{{1,2}}|(?:[#$€£(]|(?<![\"']):)\s?"  # after a quote it is the value of a JSON key
    r"|(?i:order|number|name|date|total|price|id|amount)\s)"
    r"(undefined|null|NaN|None)(?=[\s,.!?;:)%]|\Z)(?! (?:hypothes|value|pointer|reference|or|and))"
    r"|(undefined undefined|null null|NaN ?(?:%|USD|EUR|GBP|days|hours))"
)
_ASKS_FOR_TEMPLATE = re.compile(
    r"(?i)templat|placeholder|fill[- ]in|boilerplate|\bform letter|vorlage|platzhalter|musterbrief|plantilla|modelo de "
    r"carta|marcador|modèle de|gabarit|шаблон|テンプレ|ひな形|模板|"
    r"\b(?:write|draft|compose|create|generate|schreib\w*|verfass\w*|escrib\w*|redact\w*|rédige\w*|écris|escrev\w*)\b"
    r".{0,60}\b(?:e-?mails?|letters?|resume|cv|speech|invitation|contract|messages?|brief\w*|cartas?|correos?|lettres?)\b"
)
_INPUT_REACH = 4_000  # characters of the input in which a request for a template is looked for


def may_be_unfilled(chunk: str) -> float:
    """1 for a word in which a placeholder may begin; asked once for each distinct word."""
    return float(_OPENER.search(chunk) is not None or _WORD.search(chunk) is not None)


def unfilled(output: str, given: str | None) -> str | None:
    """The first placeholder that nobody filled in, as the text has it; None where there is none."""
    prose = output[:MAX_CHARACTERS]
    if "`" in prose:
        prose = _CODE.sub(" ", prose)
    asked = given or ""
    template: bool | None = None
    for literal, is_print in (*_written(prose), *_printed(prose)):
        if literal in asked:
            continue
        if not is_print:
            template = _ASKS_FOR_TEMPLATE.search(asked[:_INPUT_REACH]) is not None if template is None else template
            if template:
                continue
        return clean(literal[:LONGEST_SHOWN])
    return None


def _written(prose: str) -> Iterator[tuple[str, bool]]:
    """Placeholders in the syntax of a template, and whether a program printed them."""
    for opener in _OPENER.finditer(prose):
        found = _VARIABLE.match(prose, opener.start()) or _BRACKETED.match(prose, opener.start())
        if found is not None:
            yield found[0], found[0].startswith("[object ")


def _printed(prose: str) -> Iterator[tuple[str, bool]]:
    """Notes of authors, and what programs print in place of a value; in JSON null is a value."""
    if not _WORD.search(prose):
        return
    yield from ((found[0], False) for found in _NOTE.finditer(prose))
    if prose.lstrip()[:1] not in ("{", "["):
        yield from ((found[1] or found[0], True) for found in _EMPTY.finditer(prose))


class Placeholder:
    """Family `placeholder`."""

    family = "placeholder"
    word_columns: Mapping[str, Callable[[str], float]] = {"placeholder.hint": may_be_unfilled}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec(
            "output.placeholder.unfilled", Kind.FLAG, "holds a placeholder that nobody filled in", worse=Worse.UP,
            failure=True, role=Role.CONTENT_FAULT,
        ),
        FeatureSpec(
            "output.placeholder.first", Kind.CATEGORY, "first placeholder that nobody filled in, or `none`",
            role=Role.CONTENT_FAULT,
        ),
    )  # fmt: skip

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing where there is no output."""
        output = batch.output
        first = [None if text is None else NONE for text in output.texts]
        for row in np.flatnonzero(output.sums["placeholder.hint"]).tolist():
            first[row] = unfilled(output.texts[row] or "", batch.events[row].input) or NONE
        flags = np.array([value is not None and value != NONE for value in first], dtype=np.float64)
        return {"output.placeholder.unfilled": output.masked(flags), "output.placeholder.first": first}
