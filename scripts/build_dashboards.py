"""Writes the Grafana dashboards of `config/grafana/dashboards/`, from the panels listed here.

python scripts/build_dashboards.py

Built with Grafana's foundation SDK, whose types are generated from Grafana's own schemas: a field that Grafana does
not know cannot be written. Five dashboards, from the question that comes first to the one that comes last: which
streams are in trouble; what is wrong with this one; is it the model or something it calls; and can the monitor itself
be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, units
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FOLDER = Path(__file__).resolve().parents[1] / "config" / "grafana" / "dashboards"
SOURCE = model.DataSourceRef(type_val="prometheus", uid="oqm-prometheus")
STATE_COLOURS = {"stable": "green", "warming": "blue", "drift": "red", "silent": "orange", "unknown": "purple"}
WIDTH = 24

AnyPanel: TypeAlias = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel


class Query(NamedTuple):
    """PromQL and the legend of its series."""

    expr: str
    legend: str


class Limits(NamedTuple):
    """A colour from each value on; the first, below all values, has none."""

    first: str
    rest: tuple[tuple[float, str], ...] = ()

    def build(self) -> dashboard.ThresholdsConfig:
        """As the SDK takes it."""
        steps = [model.Threshold(None, self.first), *(model.Threshold(value, name) for value, name in self.rest)]
        return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


ZERO_IS_GOOD = Limits("green", ((1, "red"),))
FULL_IS_BAD = Limits("green", ((0.5, "orange"), (1, "red")))
PLAIN = Limits("text")


def fixed(colour: str) -> model.DynamicConfigValue:
    """The property that gives a series this colour whatever its value."""
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def target(place: int, query: Query, *, instant: bool, as_table: bool = False) -> prometheus.Dataquery:
    """One query of a panel."""
    made = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(65 + place))
    made = made.instant() if instant else made.range()
    return made.format(PromQueryFormat.TABLE) if as_table else made


def number(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    limits: Limits = PLAIN,
    colours: Mapping[str, str] | None = None,
) -> stat.Panel:
    """A large number for each query, with its latest course behind it.

    With `colours`, the name of what is there now in its colour, and no number.
    """
    named = colours is not None
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .thresholds(limits.build())
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(common.BigValueGraphMode.NONE if named else common.BigValueGraphMode.AREA)
        .text_mode(common.BigValueTextMode.NAME if named else common.BigValueTextMode.VALUE)
        .color_mode(common.BigValueColorMode.BACKGROUND if named else common.BigValueColorMode.VALUE)
        .no_value("0" if limits is ZERO_IS_GOOD else "none")
        .height(4)
        .span(4)
    )
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(name, [fixed(colour)])
    for place, query in enumerate(queries):
        panel = panel.with_target(target(place, query, instant=named))
    return panel


def course(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 12,
    height: int = 8,
    limits: Limits | None = None,
    least: float | None = 0,
    most: float | None = None,
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
) -> timeseries.Panel:
    """Lines over time; `limits` are drawn as a line, `stacked` areas lie on each other."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .height(height)
        .span(width)
        .line_width(1)
        .fill_opacity(60 if stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
    )
    if least is not None:
        panel = panel.min(least)
    if most is not None:
        panel = panel.max(most)
    if stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if limits is not None:
        panel = panel.thresholds(limits.build()).thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.LINE)
        )
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(name, [fixed(colour)])
    for place, query in enumerate(queries):
        panel = panel.with_target(target(place, query, instant=False))
    return panel


def rows(
    title: str,
    description: str,
    queries: Sequence[Query],
    columns: Mapping[str, str],
    *,
    sort: str,
    width: int = 12,
    height: int = 9,
    hidden: Iterable[str] = (),
    units_of: Mapping[str, str] | None = None,
) -> table.Panel:
    """A table that joins the queries' latest values by their labels.

    Parameters
    ----------
    columns
        Heading by field: a label, or `Value #A` for the first query.
    sort
        The heading by which it is sorted, largest first.
    hidden
        Labels that are left out.
    units_of
        Unit by heading, where a column has its own.
    """
    hide = {"Time": True, **dict.fromkeys(hidden, True)}
    order = {field: place for place, field in enumerate(columns)}
    panel = (
        table.Panel()
        .show_header(True)
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(units.NoUnit)
        .decimals(2)
        .height(height)
        .span(width)
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={"excludeByName": hide, "indexByName": order, "renameByName": dict(columns)},
            )
        )
        .with_transformation(
            model.DataTransformerConfig(id_val="sortBy", options={"sort": [{"field": sort, "desc": True}]})
        )
    )
    for heading, unit in (units_of or {}).items():
        panel = panel.override_by_name(heading, [model.DynamicConfigValue("unit", unit)])
    for place, query in enumerate(queries):
        panel = panel.with_target(target(place, query, instant=True, as_table=True))
    return panel


def bars(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    limits: Limits,
    most: float | None = None,
    width: int = 12,
    height: int = 8,
) -> bargauge.Panel:
    """A bar for each series' latest value."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .thresholds(limits.build())
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("none")
        .height(height)
        .span(width)
        .with_target(target(0, query, instant=True))
    )
    return panel if most is None else panel.max(most)


class ChangePoints(model.AnnotationQuery):
    """Marks on the time axis where changes began: the value of the series, in milliseconds, is the time.

    Grafana's schema leaves the fields that belong to a data source to that data source; these are Prometheus'
    (`PromAnnotationsQuery` of its plugin), so the SDK's type has no names for them.
    """

    def to_json(self) -> dict[str, object]:
        """As the SDK writes it, with the fields of the data source."""
        return {
            **super().to_json(),
            "useValueForTime": True,
            "titleFormat": "{{stream}}: {{kind}}",
            "textFormat": "oqm alert show {{alert}}",
            "tagKeys": "kind",
            "step": "30s",
        }


class Annotation(dashboard.AnnotationQuery):
    """Builds `ChangePoints`."""

    def __init__(self, expr: str) -> None:
        super().__init__()
        self._internal = ChangePoints(name="Change points", datasource=SOURCE, enable=True, icon_color="red", expr=expr)


def stream_choice(*, several: bool) -> dashboard.QueryVariable:
    """The variable that says which stream is shown; `several` allows more than one, and all of them at first."""
    every = model.VariableOption(text="All", value="$__all", selected=True)
    made = (
        dashboard.QueryVariable("stream")
        .label("Stream")
        .description("What is watched as one: a service's use case.")
        .datasource(SOURCE)
        .query({"query": "label_values(oqm_stream_state, stream)", "refId": "stream"})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(several)
        .include_all(several)
    )
    return made.all_value(".*").current(every) if several else made


def page(uid: str, title: str, description: str, panels: Sequence[AnyPanel]) -> dashboard.Dashboard:
    """A dashboard of the panels, placed from left to right, with links to its neighbours."""
    made = (
        dashboard.Dashboard(f"Output quality: {title}")
        .uid(uid)
        .description(description)
        .tags(["oqm"])
        .timezone("utc")
        .refresh("30s")
        .time("now-6h", "now")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .editable()
        .link(
            dashboard.DashboardLink("Output quality")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags(["oqm"])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
    )
    for place, panel in enumerate(panels, start=1):
        made = made.with_panel(panel.id(place))
    return made


ONE = '{stream="$stream"}'
SCALED = "log10"


def quantile(share: float, metric: str, by: str = "") -> str:
    """A quantile of a histogram over five minutes."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[5m])))"


def none(label: str, expr: str) -> str:
    """A series named `none` at 0 where the expression has none: what is counted from its first case on."""
    return f'{expr} or on () label_replace(vector(0), "{label}", "none", "", "")'


OVERVIEW: list[AnyPanel] = [
    number("Streams that drift", "Streams with at least one alert that fires. 0 is well.", units.Short,
           Query('sum(oqm_streams{state="drift"})', "drift"), limits=ZERO_IS_GOOD),
    number("Silent or unknown", "Streams without events, or of which the monitor cannot tell: never read it as fine.",
           units.Short, Query('sum(oqm_streams{state=~"silent|unknown"})', "silent or unknown"), limits=ZERO_IS_GOOD),
    number("Streams", "All streams that the workers watch.", units.Short, Query("sum(oqm_streams)", "streams")),
    number("Alerts held back", "Alerts that fire and are not sent now: maintenance, snooze or flapping.", units.Short,
           Query("sum(oqm_held_back_alerts)", "held back")),
    number("Marked false", "Alerts that people marked false, as far back as the log of alerts goes.", units.Short,
           Query("sum(oqm_false_alarms) or vector(0)", "false alarms")),
    number("Budget spent, worst stream", "Alerts marked false over those the stream may raise in its budget's period. "
           "At 100 % the alert budget is spent: the stream pages more often than was asked for.", units.PercentUnit,
           Query("max(oqm_stream_budget_spent_ratio) or vector(0)", "worst"), limits=FULL_IS_BAD),
    course("Streams by state", "How many streams are in each state.", units.Short,
           Query("sum by (state) (oqm_streams)", "{{state}}"), colours=STATE_COLOURS, stacked=True),
    course("Alerts that fire", "Alerts that fire now, of the 20 streams with most of them.", units.Short,
           Query("topk(20, max by (stream) (oqm_stream_firing_alerts))", "{{stream}}")),
    course("Evidence against the threshold", "Evidence that the stream changed, as a share of what its alert takes, "
           "both as log10. At 100 % it fires; the 10 streams with most.", units.PercentUnit,
           Query("topk(10, max by (stream) (oqm_stream_evidence_log10 / oqm_stream_threshold_log10))", "{{stream}}"),
           limits=Limits("transparent", ((1, "red"),))),
    bars("Alert budget spent", "False alarms of each stream's latest budget period over those it may raise; only "
         "streams with a false alarm have a bar.", units.PercentUnit,
         Query(none("stream", "topk(15, max by (stream) (oqm_stream_budget_spent_ratio))"), "{{stream}}"),
         limits=FULL_IS_BAD),
    course("Volume", "Output events applied per second, of the 20 busiest streams.", units.EventsPerSecond,
           Query("topk(20, sum by (stream) (rate(oqm_stream_events_total[5m])))", "{{stream}}"), width=8),
    course("Errors", "Share of the output events whose call ended in an error, over all streams.", units.PercentUnit,
           Query("sum(rate(oqm_event_errors_total[5m])) / sum(rate(oqm_events_total[5m]))", "errors"), width=8),
    course("Findings", "Transitions of findings per hour, by the state entered.", units.Short,
           Query("sum by (state) (increase(oqm_findings_total[1h]))", "{{state}}"), width=8),
    rows("Streams with most evidence", "Evidence and threshold are log10. Choose a stream on its own page to see why.",
         [Query("topk(15, max by (stream) (oqm_stream_evidence_log10))", "evidence"),
          Query("max by (stream) (oqm_stream_threshold_log10)", "threshold"),
          Query("max by (stream) (oqm_stream_firing_alerts)", "alerts"),
          Query("max by (stream) (oqm_stream_events_total)", "events"),
          Query("time() - max by (stream) (oqm_stream_last_event_timestamp_seconds)", "since the last event")],
         {"stream": "stream", "Value #A": "evidence", "Value #B": "threshold", "Value #C": "alerts",
          "Value #D": "events", "Value #E": "last event ago"},
         sort="evidence", width=24, units_of={"last event ago": units.Seconds, "events": units.Short}),
]  # fmt: skip

WATCHED: list[AnyPanel] = [
    number("State", "The state that the stream is in. `unknown` is not fine: the monitor cannot tell.", units.NoUnit,
           Query("max by (state) (oqm_stream_state" + ONE + ")", "{{state}}"), colours=STATE_COLOURS),
    number("Alerts that fire", "Alerts of this stream that fire now. The marks in red on the time axes are their "
           "change points; `oqm alert list` says more.", units.Short,
           Query("max(oqm_stream_firing_alerts" + ONE + ")", "alerts"), limits=ZERO_IS_GOOD),
    number("Events", "Events applied to the stream, once each.", units.Short,
           Query("max(oqm_stream_events_total" + ONE + ")", "events")),
    number("Events a second", "Volume over five minutes.", units.EventsPerSecond,
           Query("sum(rate(oqm_stream_events_total" + ONE + "[5m]))", "events")),
    number("Budget spent", "Alerts marked false in the budget's latest period over those the stream may raise.",
           units.PercentUnit, Query("max(oqm_stream_budget_spent_ratio" + ONE + ") or vector(0)", "spent"),
           limits=FULL_IS_BAD),
    number("Duplicates", "Events seen before, which were not applied.", units.Short,
           Query("max(oqm_stream_duplicates_total" + ONE + ")", "duplicates")),
    course("Evidence over time", f"Evidence that the stream changed ({SCALED}), and the threshold at which its alert "
           "fires: the alert budget times the stream's own rate. What raised an alert stays as a line while it fires; "
           "evidence itself starts from zero then, for a second change.", units.NoUnit,
           Query("max by (stream) (oqm_stream_evidence_log10" + ONE + ")", "evidence"),
           Query("max by (stream) (oqm_stream_threshold_log10" + ONE + ")", "threshold"),
           Query("max by (alert) (oqm_alert_evidence_log10" + ONE + ")", "alert {{alert}} was raised at"),
           colours={"threshold": "red"}, width=24),
    rows("Features, before and after", "The 25 features that speak most for a change: median or rate in the reference, "
         "and over the last 64 events, each in its own unit.",
         [Query("topk(25, max by (feature) (oqm_feature_evidence_log10" + ONE + "))", "evidence"),
          Query("max by (feature) (oqm_feature_reference" + ONE + ")", "before"),
          Query("max by (feature) (oqm_feature_current" + ONE + ")", "after")],
         {"feature": "feature", "Value #B": "before", "Value #C": "after", "Value #A": "evidence (log10)"},
         sort="evidence (log10)", height=12),
    course("Features with most evidence", f"Evidence for each feature alone ({SCALED}), the 8 with most.", units.NoUnit,
           Query("topk(8, max by (feature) (oqm_feature_evidence_log10" + ONE + "))", "{{feature}}"), height=12),
    course("Length of outputs", "Median number of words, lately and in the reference.", units.Short,
           Query('max(oqm_feature_current{stream="$stream", feature="output.length.words"})', "lately"),
           Query('max(oqm_feature_reference{stream="$stream", feature="output.length.words"})', "reference"), width=8),
    course("Refusals, apologies, broken format", "Rates over the last 64 events of flags that users notice.",
           units.PercentUnit,
           Query('max by (feature) (oqm_feature_current{stream="$stream", '
                 'feature=~"output.tone.refusal|output.length.empty|output.format.(truncated|error_text|json_broken)"})',
                 "{{feature}}"), width=8, most=1),
    course("Tone", "Sentiment from -1 to 1, and formality and hedging in their own units: medians of the last 64 "
           "events.", units.NoUnit,
           Query('max by (feature) (oqm_feature_current{stream="$stream", '
                 'feature=~"output.tone.(sentiment|formality|hedging)"})', "{{feature}}"), width=8, least=None),
    course("Embedding", "Cosine distance of outputs to the centre of the stream's first outputs, median: what they are "
           "about, whatever the words. Lately and in the reference.", units.NoUnit,
           Query('max(oqm_feature_current{stream="$stream", feature="output.embedding.distance"})', "lately"),
           Query('max(oqm_feature_reference{stream="$stream", feature="output.embedding.distance"})', "reference"),
           width=8),
    course("Embedding, projections", "Medians of the projections that detection watches: which way the meaning moved.",
           units.NoUnit,
           Query('max by (feature) (oqm_feature_current{stream="$stream", feature=~"output.embedding.p.*"})',
                 "{{feature}}"), width=8, least=None),
    course("What is asked, projections", "The same of the inputs: whether other questions came.", units.NoUnit,
           Query('max by (feature) (oqm_feature_current{stream="$stream", feature=~"input.embedding.p.*"})',
                 "{{feature}}"), width=8, least=None),
    course("Segments", "Share of the last 64 events that each model, version, prompt and other attribute carried.",
           units.PercentUnit,
           Query("max by (attribute, value) (oqm_segment_current_ratio" + ONE + ")", "{{attribute}}={{value}}"),
           most=1),
    rows("Segments, before and after", "Shares in the reference and lately: what came, what went.",
         [Query("max by (attribute, value) (oqm_segment_reference_ratio" + ONE + ")", "before"),
          Query("max by (attribute, value) (oqm_segment_current_ratio" + ONE + ")", "after")],
         {"attribute": "attribute", "value": "value", "Value #A": "before", "Value #B": "after"}, sort="after",
         height=8, units_of={"before": units.PercentUnit, "after": units.PercentUnit}),
]  # fmt: skip

LATENCY: list[AnyPanel] = [
    course("Time until the output", "Quantiles over all streams: from the call to the whole output.", units.Seconds,
           Query(quantile(0.5, "oqm_call_seconds"), "median"), Query(quantile(0.95, "oqm_call_seconds"), "95 %"),
           Query(quantile(0.99, "oqm_call_seconds"), "99 %")),
    course("Latency by stream", "Median of each stream's last 64 events; the 15 slowest.", units.Seconds,
           Query('topk(15, max by (stream) (oqm_feature_current{stream=~"$stream", feature="call.latency.total_s"}))',
                 "{{stream}}")),
    rows("Latency, before and after", "Median time until the output in each stream's reference, and lately.",
         [Query('max by (stream) (oqm_feature_reference{stream=~"$stream", feature="call.latency.total_s"})', "before"),
          Query('max by (stream) (oqm_feature_current{stream=~"$stream", feature="call.latency.total_s"})', "after")],
         {"stream": "stream", "Value #A": "before", "Value #B": "after"}, sort="after",
         units_of={"before": units.Seconds, "after": units.Seconds}),
    course("Errors of calls", "Share of events whose call ended in an error: over all, and lately by stream.",
           units.PercentUnit,
           Query("sum(rate(oqm_event_errors_total[5m])) / sum(rate(oqm_events_total[5m]))", "all streams"),
           Query('topk(10, max by (stream) (oqm_feature_current{stream=~"$stream", feature="call.outcome.error"}))',
                 "{{stream}}"), height=9),
    course("Dependencies: calls", "Calls that events made to each dependency, per second.", units.EventsPerSecond,
           Query("sum by (dependency) (rate(oqm_dependency_calls_total[5m]))", "{{dependency}}")),
    course("Dependencies: failed", "Share of each dependency's calls that failed.", units.PercentUnit,
           Query('(sum by (dependency) (rate(oqm_dependency_calls_total{outcome="failed"}[5m])) or 0 * '
                 "sum by (dependency) (rate(oqm_dependency_calls_total[5m]))) / "
                 "sum by (dependency) (rate(oqm_dependency_calls_total[5m]))", "{{dependency}}")),
    course("Dependencies: time", "95 % of the calls to each dependency took no longer.", units.Seconds,
           Query(quantile(0.95, "oqm_dependency_seconds", "dependency"), "{{dependency}}")),
    course("Context in use", "Median share of the context window by stream: at 100 % outputs are cut off.",
           units.PercentUnit,
           Query('topk(15, max by (stream) (oqm_feature_current{stream=~"$stream", feature="call.context.share"}))',
                 "{{stream}}"), limits=Limits("transparent", ((1, "red"),))),
    course("Tokens", "Median tokens sent and received per event, by stream.", units.Short,
           Query('max by (stream, feature) (oqm_feature_current{stream=~"$stream", feature=~"call.tokens.*"})',
                 "{{stream}} {{feature}}")),
    course("Cost", "Median price of an event by stream.", units.Dollars,
           Query('max by (stream) (oqm_feature_current{stream=~"$stream", feature="call.cost.usd"})', "{{stream}}")),
]  # fmt: skip

OF_STREAMS = '{stream=~"$stream"}'

QUALITY: list[AnyPanel] = [
    number("Lowest rate, surely", "The lowest upper bound of all estimates: at least one criterion is passed by no "
           "more than this.", units.PercentUnit, Query("min(oqm_quality_high_ratio" + OF_STREAMS + ")", "at most")),
    number("Outputs with a verdict", "Outputs of the last 7 days that evaluators or checks have judged, over all "
           "criteria.", units.Short, Query("sum(oqm_quality_judged_outputs" + OF_STREAMS + ")", "judged")),
    number("Cannot tell", "Streams and criteria of which nothing was judged: never read it as fine.", units.Short,
           Query("count(oqm_quality_judged_outputs" + OF_STREAMS + " == 0) or vector(0)", "cannot tell"),
           limits=ZERO_IS_GOOD),
    number("Verdicts missing", "Share of the outputs drawn that got no verdict: above 2 % the interval alone does not "
           "say all (oqm quality).", units.PercentUnit,
           Query("sum(oqm_quality_missing_outputs" + OF_STREAMS + ") / (sum(oqm_quality_missing_outputs" + OF_STREAMS
                 + ") + sum(oqm_quality_judged_outputs" + OF_STREAMS + ") > 0)", "missing"),
           limits=Limits("green", ((0.02, "orange"), (0.1, "red")))),
    number("Evaluators down", "Evaluators that give no verdicts now.", units.Short,
           Query("sum(max by (evaluator) (oqm_evaluator_down)) or vector(0)", "down"), limits=ZERO_IS_GOOD),
    number("Age of the estimates", "Since they were made, by the worker with the role store.", units.Seconds,
           Query("time() - max(oqm_quality_timestamp_seconds > 0)", "age"),
           limits=Limits("green", ((600, "orange"), (3_600, "red")))),
    course("Share that passes, at least and at most", "Bounds of the 15 lowest estimates, over the last 7 days. They "
           "hold at every look: where they do not overlap, rates differ.", units.PercentUnit,
           Query("bottomk(15, max by (stream, criterion) (oqm_quality_low_ratio" + OF_STREAMS + "))",
                 "{{stream}} {{criterion}}: at least"),
           Query("bottomk(15, max by (stream, criterion) (oqm_quality_high_ratio" + OF_STREAMS + "))",
                 "{{stream}} {{criterion}}: at most"), most=1, width=24, height=10),
    rows("Estimates", "Share of all outputs that pass, with its interval and the verdicts that it rests on. oqm "
         "quality breaks them down.",
         [Query("max by (stream, criterion) (oqm_quality_ratio" + OF_STREAMS + ")", "rate"),
          Query("max by (stream, criterion) (oqm_quality_low_ratio" + OF_STREAMS + ")", "low"),
          Query("max by (stream, criterion) (oqm_quality_high_ratio" + OF_STREAMS + ")", "high"),
          Query("max by (stream, criterion) (oqm_quality_judged_outputs" + OF_STREAMS + ")", "judged"),
          Query("max by (stream, criterion) (oqm_quality_missing_outputs" + OF_STREAMS + ")", "missing"),
          Query("max by (stream, criterion) (oqm_quality_seen_outputs" + OF_STREAMS + ")", "seen")],
         {"stream": "stream", "criterion": "criterion", "Value #A": "pass", "Value #B": "at least",
          "Value #C": "at most", "Value #D": "judged", "Value #E": "missing", "Value #F": "outputs"},
         sort="judged", width=24, height=12,
         units_of={"pass": units.PercentUnit, "at least": units.PercentUnit, "at most": units.PercentUnit}),
    course("Judgments", "Verdicts, and outputs without one, per hour.", units.Short,
           Query(none("outcome", "sum by (outcome) (increase(oqm_judgments_total[1h]))"), "{{outcome}}"), width=8),
    course("Cost", "US dollars that evaluators cost per hour, by the prices of the settings.", units.Dollars,
           Query(none("evaluator", "sum by (evaluator) (increase(oqm_evaluator_cost_usd_total[1h]))"), "{{evaluator}}"),
           width=8),
    course("Time of a verdict", "95 % of the answers of each evaluator took no longer.", units.Seconds,
           Query(quantile(0.95, "oqm_evaluator_seconds", "evaluator"), "{{evaluator}}"), width=8),
]  # fmt: skip

HEALTH: list[AnyPanel] = [
    number("Workers ready", "Workers with their partitions assigned and restored. 0: nothing is watched.", units.Short,
           Query("sum(oqm_worker_ready)", "ready"), limits=Limits("red", ((1, "green"),))),
    number("Workers down", "Targets of the job that do not answer.", units.Short,
           Query('sum(up{job="oqm"} == bool 0)', "down"), limits=ZERO_IS_GOOD),
    number("Messages waiting", "Not yet applied, over all topics: alerts come late by as much.", units.Short,
           Query("sum(oqm_lag_messages)", "lag"), limits=Limits("green", ((10_000, "orange"), (100_000, "red")))),
    number("Deliveries waiting", "Transitions of alerts that wait for their receiver.", units.Short,
           Query("sum(oqm_pending_deliveries)", "waiting"), limits=ZERO_IS_GOOD),
    number("Dead letters, last hour", "Messages that could not be read: what is there is not watched.", units.Short,
           Query("sum(increase(oqm_rejects_total[1h])) or vector(0)", "dead letters"), limits=ZERO_IS_GOOD),
    number("Rules that fire", "Alerts about the monitor itself (config/prometheus/rules).", units.Short,
           Query('sum(ALERTS{component="monitor", alertstate="firing"}) or vector(0)', "alerts"), limits=ZERO_IS_GOOD),
    course("Since the last progress", "Seconds since each worker applied a batch or had nothing to do. It saws; a line "
           "that rises is a worker that is stuck.", units.Seconds,
           Query("time() - oqm_worker_progress_timestamp_seconds", "{{instance}}"),
           limits=Limits("transparent", ((300, "red"),))),
    course("Messages waiting by topic", "Not yet applied. Outputs: featurize is behind; features: detect; alerts: "
           "notify.", units.Short, Query("sum by (topic) (oqm_lag_messages)", "{{topic}}")),
    course("Behind", "Age of the oldest message that has come and is not applied, by stage.", units.Seconds,
           Query("max by (stage) (oqm_behind_seconds)", "{{stage}}"),
           limits=Limits("transparent", ((300, "red"),))),
    course("Stages at work", "Time with a batch in hand, as a share of time: at 100 % a stage is saturated.",
           units.PercentUnit, Query("max by (stage) (rate(oqm_working_seconds_total[5m]))", "{{stage}}"), most=1),
    course("Delay", "From an event's time to its being applied by detect.", units.Seconds,
           Query(quantile(0.5, "oqm_event_delay_seconds"), "median"),
           Query(quantile(0.95, "oqm_event_delay_seconds"), "95 %"),
           width=8),
    course("Events", "Output events turned into features, per second and worker.", units.EventsPerSecond,
           Query("sum by (instance) (rate(oqm_events_total[5m]))", "{{instance}}"), width=8),
    course("Dead letters", "Messages written to the dead-letter topic per second, by reason.", units.EventsPerSecond,
           Query(none("reason", "sum by (reason) (rate(oqm_rejects_total[5m]))"), "{{reason}}"), width=8),
    course("Computation", "Share of a core that each stage takes.", units.PercentUnit,
           Query("sum by (stage) (rate(oqm_busy_seconds_total[5m]))", "{{stage}}"), width=8),
    course("Time of a batch", "95 % of each stage's batches took no longer.", units.Seconds,
           Query(quantile(0.95, "oqm_batch_seconds", "stage"), "{{stage}}"), width=8),
    course("Memory", "Resident memory of each worker.", units.BytesIEC,
           Query('process_resident_memory_bytes{job="oqm"}', "{{instance}}"), width=8),
    course("Deliveries", "Alerts delivered, tried again and failed for good, per hour.", units.Short,
           Query("sum by (sink, outcome) (increase(oqm_deliveries_total[1h]))", "{{sink}}: {{outcome}}"), width=8),
    course("Circuit breakers of sinks", "The state that each sink's breaker is in. Open: it failed and is left alone, "
           "probed now and then, while its deliveries wait.", units.Short,
           Query("max by (sink, state) (oqm_sink_circuit_state)", "{{sink}}: {{state}}"), width=8, most=1),
    course("Features that fail", "Events per second for which a family of features failed and is missing.",
           units.EventsPerSecond,
           Query(none("family", "sum by (family) (rate(oqm_feature_failures_total[5m]))"), "{{family}}"), width=8),
    course("Lost and repaired", "Messages that retention deleted before they were read, and how often the flow was set "
           "back to the offset expected. Both should be 0.", units.Short,
           Query(none("topic", "sum by (topic) (increase(oqm_lost_messages_total[1h]))"), "lost {{topic}}"),
           Query(none("topic", "sum by (topic) (increase(oqm_flow_repairs_total[1h]))"), "repaired {{topic}}"),
           width=8),
    course("What metrics leave out", "Streams and series beyond the caps (metrics.max_streams, metrics.max_series): "
           "counted here, watched all the same.", units.Short,
           Query("sum(oqm_unexported_streams)", "streams"), Query("sum(oqm_unexported_series)", "series"), width=8),
    course("Times moved", "Events per second whose time was too far off Kafka's and was moved to its limit, or was in "
           "milliseconds or the like and was read so.",
           units.EventsPerSecond, Query("sum(rate(oqm_clamped_times_total[5m]))", "moved"),
           Query("sum by (unit) (rate(oqm_times_in_other_units_total[5m]))", "in {{unit}}"), width=8),
]  # fmt: skip

CHANGE_POINTS = "1000 * max by (stream, kind, alert) (oqm_alert_began_timestamp_seconds" + ONE + ")"


def dashboards() -> dict[str, model.Dashboard]:
    """Each dashboard by the name of its file."""
    overview = page("oqm-overview", "overview", "Which streams are in trouble, and how surely.", OVERVIEW)
    stream = page(
        "oqm-stream",
        "stream",
        "What changed in one stream: before and after, since when, and in which segment.",
        WATCHED,
    )
    quality = page(
        "oqm-quality",
        "criteria",
        "Which share of the outputs passes each criterion, how surely, and on how many verdicts it rests.",
        QUALITY,
    )
    latency = page("oqm-latency", "latency and dependencies", "Is it the model, or something that it calls?", LATENCY)
    health = page("oqm-health", "monitor health", "Whether the monitor itself can be trusted.", HEALTH)
    return {
        "overview": overview.build(),
        "stream": stream.with_variable(stream_choice(several=False)).annotation(Annotation(CHANGE_POINTS)).build(),
        "quality": quality.with_variable(stream_choice(several=True)).build(),
        "latency": latency.with_variable(stream_choice(several=True)).build(),
        "health": health.build(),
    }


def text(made: model.Dashboard) -> str:
    """What stands in the dashboard's file."""
    return json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write(folder: Path = FOLDER) -> None:
    """Write the files again."""
    for name, made in dashboards().items():
        (folder / f"{name}.json").write_text(text(made), encoding="utf-8")


if __name__ == "__main__":
    write()
