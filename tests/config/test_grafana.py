from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from monitor.config_files import config_dir
from tests.config.dashboard import builder
from tests.config.promql import unknown_metrics

FOLDER = config_dir() / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboards" / "overview.json").read_text())


def test_the_dashboard_is_the_one_the_script_writes() -> None:
    path = FOLDER / "dashboards" / "overview.json"
    assert path.read_text() == builder.text(), "run: python scripts/build_dashboard.py"


@pytest.mark.parametrize("panel", builder.PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_which_unit_from_declared_metrics(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    for target in panel["targets"]:
        assert unknown_metrics(target["expr"]) == set()
        assert "oqm_" in target["expr"]


def test_panels_have_their_own_ids_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_data_source_is_the_one_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "prometheus.yml").read_text())
    uids = {source["uid"] for source in provisioned["datasources"]}
    used = {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
    used |= {variable["datasource"]["uid"] for variable in DASHBOARD["templating"]["list"]}
    assert used == uids


def test_variables_read_declared_metrics() -> None:
    for variable in DASHBOARD["templating"]["list"]:
        assert unknown_metrics(variable["query"]["query"]) == set()
