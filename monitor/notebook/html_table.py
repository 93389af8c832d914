"""A small HTML table for notebooks; everything in it is text, whatever an output holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_LEFT = "style='text-align:left'"


def html_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], below: Iterable[str]) -> str:
    """A table of `rows` by `columns`, none where there are no rows, with the sentences `below` under it."""
    head = "".join(f"<th {_LEFT}>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td {_LEFT}>{_cell(row[name])}</td>' for name in columns)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""
    return f"<div>{table}{''.join(f'<p>{escape(sentence)}</p>' for sentence in below)}</div>"


def _cell(value: Any) -> str:
    return "" if value is None else escape(f"{value:.4g}" if isinstance(value, float) else str(value))
