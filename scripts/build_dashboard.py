"""Writes `config/grafana/dashboards/overview.json`, the overview dashboard, from the panels listed here.

python scripts/build_dashboard.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[1] / "config" / "grafana" / "dashboards" / "overview.json"
DATASOURCE = {"type": "prometheus", "uid": "oqm-prometheus"}
STATE_COLOURS = {"stable": "green", "warming": "blue", "drift": "red", "silent": "orange", "unknown": "purple"}

Query = tuple[str, str]
"""PromQL and legend."""


def panel(
    title: str, description: str, kind: str, unit: str, place: tuple[int, int, int, int], *queries: Query, **extra: Any
) -> dict[str, Any]:
    """One panel; `place` is x, y, width, height in Grafana's grid of 24 columns."""
    x, y, w, h = place
    fields: dict[str, Any] = {"defaults": {"unit": unit, **extra.pop("defaults", {})}, "overrides": []}
    fields["overrides"] = extra.pop("overrides", [])
    made: dict[str, Any] = {
        "title": title,
        "description": description,
        "type": kind,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": w, "h": h},
        "fieldConfig": fields,
        "targets": [
            {"refId": chr(65 + i), "datasource": DATASOURCE, "expr": expr, "legendFormat": legend}
            for i, (expr, legend) in enumerate(queries)
        ],
        **extra,
    }
    if kind in ("stat", "table"):
        for target in made["targets"]:
            target |= {"instant": True, "range": False}
    if kind == "table":
        for target in made["targets"]:
            target["format"] = "table"
    return made


def colour(name: str, value: str) -> dict[str, Any]:
    """A fixed colour for one series."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": value}}],
    }


def steps(*limits: tuple[float | None, str]) -> dict[str, Any]:
    """Colours from each limit on; the first has none."""
    return {"thresholds": {"mode": "absolute", "steps": [{"value": value, "color": name} for value, name in limits]}}


ZERO_IS_GOOD = steps((None, "green"), (1, "red"))
AMOUNT = "short"
STREAM = '{stream=~"$stream"}'

PANELS = [
    panel("Streams that drift", "Streams with at least one alert that fires.", "stat", AMOUNT, (0, 0, 4, 4),
          ('sum(oqm_streams{state="drift"})', "drift"), defaults=ZERO_IS_GOOD),
    panel("Silent or unknown", "Streams without events, or of which the monitor cannot tell.", "stat", AMOUNT,
          (4, 0, 4, 4), ('sum(oqm_streams{state=~"silent|unknown"})', "silent or unknown"), defaults=ZERO_IS_GOOD),
    panel("Streams", "All streams that the workers own.", "stat", AMOUNT, (8, 0, 4, 4),
          ("sum(oqm_streams)", "streams")),
    panel("Workers ready", "Workers with their partitions assigned and restored.", "stat", AMOUNT, (12, 0, 4, 4),
          ("sum(oqm_worker_ready)", "ready"), defaults=steps((None, "red"), (1, "green"))),
    panel("Messages waiting", "Not yet applied, over all topics.", "stat", AMOUNT, (16, 0, 4, 4),
          ("sum(oqm_lag_messages)", "lag"), defaults=steps((None, "green"), (10_000, "orange"), (100_000, "red"))),
    panel("Deliveries waiting", "Transitions of alerts that wait for their receiver.", "stat", AMOUNT, (20, 0, 4, 4),
          ("sum(oqm_pending_deliveries)", "waiting"), defaults=ZERO_IS_GOOD),
    panel("Streams by state", "How many streams are in each state.", "timeseries", AMOUNT, (0, 4, 12, 8),
          ("sum by (state) (oqm_streams)", "{{state}}"),
          overrides=[colour(state, name) for state, name in STATE_COLOURS.items()]),
    panel("Findings", "Transitions per hour by the state entered.", "timeseries", AMOUNT, (12, 4, 12, 8),
          ("sum by (state) (increase(oqm_findings_total[1h]))", "{{state}}")),
    panel("Evidence against the threshold", "Evidence that the stream changed, log10, as a share of its threshold: at "
          "100 % it fires. Select streams above.", "timeseries", "percentunit", (0, 12, 12, 9),
          (f"max by (stream) (oqm_stream_evidence_log10{STREAM} / oqm_stream_threshold_log10{STREAM})", "{{stream}}"),
          defaults={"min": 0, **steps((None, "transparent"), (1, "red")),
                    "custom": {"thresholdsStyle": {"mode": "line"}}}),
    panel("Features with most evidence", "The features of the selected streams that speak most for a change: what they "
          "are in the reference, and lately.", "table", "none", (12, 12, 12, 9),
          (f"topk(12, max by (stream, feature) (oqm_feature_evidence_log10{STREAM}))", "evidence"),
          (f"max by (stream, feature) (oqm_feature_reference{STREAM})", "reference"),
          (f"max by (stream, feature) (oqm_feature_current{STREAM})", "current"),
          transformations=[
              {"id": "merge", "options": {}},
              {"id": "filterByValue", "options": {"type": "include", "match": "all", "filters": [
                  {"fieldName": "Value #A", "config": {"id": "isNotNull", "options": {}}}]}},
              {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {
                  "Value #A": "evidence (log10)", "Value #B": "reference", "Value #C": "current"}}},
              {"id": "sortBy", "options": {"sort": [{"field": "evidence (log10)", "desc": True}]}},
          ]),
    panel("Events", "Output events turned into features, per second.", "timeseries", "ops", (0, 21, 8, 7),
          ("sum(rate(oqm_events_total[5m]))", "events")),
    panel("Delay", "From an event's time to its being applied by detect.", "timeseries", "s", (8, 21, 8, 7),
          ("histogram_quantile(0.5, sum by (le) (rate(oqm_event_delay_seconds_bucket[5m])))", "median"),
          ("histogram_quantile(0.95, sum by (le) (rate(oqm_event_delay_seconds_bucket[5m])))", "95 %")),
    panel("Messages waiting by topic",
          "Not yet applied. Outputs: featurize is behind; features: detect; alerts: notify.", "timeseries",
          AMOUNT, (16, 21, 8, 7), ("sum by (topic) (oqm_lag_messages)", "{{topic}}")),
    panel("Rejects", "Messages written to the dead-letter topic, per second, by reason.", "timeseries", "ops",
          (0, 28, 8, 7), ("sum by (reason) (rate(oqm_rejects_total[5m]))", "{{reason}}")),
    panel("Deliveries", "Alerts delivered, tried again and failed, per hour.", "timeseries", AMOUNT, (8, 28, 8, 7),
          ("sum by (sink, outcome) (increase(oqm_deliveries_total[1h]))", "{{sink}}: {{outcome}}")),
    panel("Computation", "Share of a core that each stage takes.", "timeseries", "percentunit", (16, 28, 8, 7),
          ("sum by (stage) (rate(oqm_busy_seconds_total[5m]))", "{{stage}}")),
]  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana's JSON model (https://grafana.com/docs/grafana/latest/dashboards/json-model/)."""
    return {
        "uid": "oqm-overview",
        "title": "Output quality: overview",
        "description": "Which streams drift, on what evidence, and whether the monitor itself is well.",
        "tags": ["oqm"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "templating": {
            "list": [
                {
                    "name": "stream",
                    "label": "Stream",
                    "type": "query",
                    "datasource": DATASOURCE,
                    "query": {"query": "label_values(oqm_stream_state, stream)", "refId": "stream"},
                    "refresh": 2,
                    "sort": 1,
                    "multi": True,
                    "includeAll": True,
                    "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                }
            ]
        },
        "annotations": {"list": []},
        "panels": [{"id": number, **one} for number, one in enumerate(PANELS, start=1)],
    }


def text() -> str:
    """What stands in the file."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
