from __future__ import annotations

import copy
import json
from importlib.metadata import version
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import bargauge, stat, table, timeseries, units
from grafana_foundation_sdk.models import dashboard as model

from monitor.settings import Settings
from monitor.settings.paths import config_dir
from tests.config.dashboard import DASHBOARDS, builder, queries
from tests.config.promql import unknown_metrics
from tests.config.sdk_schema import faults, unknown

FOLDER = config_dir() / "grafana"
PANELS = [(name, panel) for name, made in DASHBOARDS.items() for panel in made["panels"]]
EACH = pytest.mark.parametrize("name", DASHBOARDS)
EACH_PANEL = pytest.mark.parametrize(
    ("name", "panel"), PANELS, ids=lambda one: one if isinstance(one, str) else one["title"]
)
UNITS = {value for key, value in vars(units).items() if not key.startswith("_") and isinstance(value, str)}
OPTIONS = {
    "timeseries": (timeseries.Options, timeseries.FieldConfig),
    "stat": (stat.Options, None),
    "bargauge": (bargauge.Options, None),
    "table": (table.Options, table.FieldConfig),
}


def test_there_are_the_five_and_no_other() -> None:
    there = {path.stem for path in (FOLDER / "dashboards").glob("*.json")}
    assert there == set(DASHBOARDS) == {"overview", "stream", "quality", "latency", "health"}


@EACH
def test_a_dashboard_is_the_one_that_the_script_writes(name: str) -> None:
    path = FOLDER / "dashboards" / f"{name}.json"
    assert path.read_text() == builder.text(builder.dashboards()[name]), "run: python scripts/build_dashboards.py"


@EACH_PANEL
def test_a_panel_says_what_it_shows_in_which_unit(name: str, panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.name)
def test_a_query_reads_declared_metrics(query: Any) -> None:
    assert unknown_metrics(query.expr) == set()


@EACH
def test_panels_have_their_own_ids_and_do_not_overlap(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@EACH
def test_a_dashboard_is_valid_by_grafanas_types(name: str) -> None:
    data = json.loads((FOLDER / "dashboards" / f"{name}.json").read_text())
    assert list(problems(data)) == []


def problems(data: dict[str, Any]) -> list[str]:
    """What Grafana's types find wrong with a dashboard, by the SDK of the Grafana that compose runs."""
    register_default_plugins()
    data = copy.deepcopy(data)
    for annotation in data["annotations"].get("list", []):
        for field in ("useValueForTime", "titleFormat", "textFormat", "tagKeys", "step"):
            annotation.pop(field)  # the data source's own, see the script
    read = model.Dashboard.from_json(data)
    found = [*faults(read, model.Dashboard), *unknown(data, json.loads(json.dumps(read, cls=JSONEncoder)))]
    for place, panel in enumerate(data["panels"]):
        # The SDK leaves these two to the plugin of the panel's kind.
        options, custom = OPTIONS[panel["type"]]
        for kind, given in ((options, panel["options"]), (custom, panel["fieldConfig"]["defaults"].get("custom"))):
            if kind is not None and given is not None:
                made = kind.from_json(given)
                where = f"$.panels[{place}].{kind.__name__}"
                found += faults(made, kind, where)
                found += unknown(given, json.loads(json.dumps(made, cls=JSONEncoder)), where)
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["panels"][0].update(titel="x"), "titel: Grafana knows no such field"),
        (lambda d: d["panels"][0].update(title=5), "title: 5 is no str"),
        (lambda d: d["panels"][0]["gridPos"].update(h="4"), "h: '4' is no int"),
        (lambda d: d["panels"][0]["options"].update(textMode="big"), "'big' is no"),
        (lambda d: d["panels"][0]["options"].update(textmode="value"), "textmode: Grafana knows no such field"),
        (lambda d: d["panels"][0]["targets"][0].update(express="up"), "express: Grafana knows no such field"),
        (lambda d: d.update(refresh=30), "refresh: 30 is no str"),
    ],
)
def test_a_mistake_would_be_found(change: Any, said: str) -> None:
    data = copy.deepcopy(DASHBOARDS["stream"])
    change(data)
    try:
        found = problems(data)
    except ValueError as error:  # an enum of the SDK refuses by itself
        found = [str(error)]
    assert any(said in line or "is not a valid" in line for line in found), found


def test_the_types_are_those_of_the_grafana_that_runs() -> None:
    compose = yaml.safe_load((config_dir().parent / "docker-compose.yml").read_text())
    release = version("grafana-foundation-sdk").split("!")[1].rsplit(".", 1)[0]
    assert compose["services"]["grafana"]["image"].startswith(f"grafana/grafana:{release}.")


def test_the_data_source_is_the_one_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "prometheus.yml").read_text())
    uids = {source["uid"] for source in provisioned["datasources"]}
    for made in DASHBOARDS.values():
        used = {panel["datasource"]["uid"] for panel in made["panels"]}
        used |= {variable["datasource"]["uid"] for variable in made["templating"].get("list", [])}
        used |= {annotation["datasource"]["uid"] for annotation in made["annotations"].get("list", [])}
        assert used == uids


def test_the_folder_that_is_provisioned_is_the_one_that_compose_mounts() -> None:
    compose = yaml.safe_load((config_dir().parent / "docker-compose.yml").read_text())
    (provider,) = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "oqm.yml").read_text())["providers"]
    assert f"./config/grafana/dashboards:{provider['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]


def test_variables_read_declared_metrics() -> None:
    variables = [v for made in DASHBOARDS.values() for v in made["templating"].get("list", [])]
    assert len(variables) == 3
    for variable in variables:
        assert unknown_metrics(variable["query"]["query"]) == set()


def test_a_links_template_leads_to_the_streams_dashboard() -> None:
    template = Settings.model_validate(
        yaml.safe_load((config_dir() / "compose" / "monitor.yaml").read_text())
    ).links.dashboard
    assert f"/d/{DASHBOARDS['stream']['uid']}?var-stream={{stream}}" in template
