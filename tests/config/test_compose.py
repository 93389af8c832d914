from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from monitor.settings import load_settings
from monitor.settings.paths import config_dir
from tests.servers import program

ROOT = config_dir().parent
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EACH = pytest.mark.parametrize("name", SERVICES)
OURS = ("topics", "featurize", "detect", "notify", "serve")


@EACH
def test_a_service_is_limited_unprivileged_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    if name in OURS:  # the image itself says who runs it and how to ask how it is
        dockerfile = (ROOT / "Dockerfile").read_text()
        assert re.search(r"(?m)^USER 10001:10001$", dockerfile)
        assert "HEALTHCHECK" in dockerfile
    else:
        assert not service["user"].startswith("0:")
        assert service["healthcheck"]["test"][0] == "CMD"
        assert not service["image"].endswith(":latest")
        assert re.search(r":v?\d", service["image"])


@EACH
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_there_is_no_default_password() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", key):
                assert re.fullmatch(r"\$\{\w+:\?.*\}", str(value))


@EACH
def test_its_log_does_not_fill_the_disk(name: str) -> None:
    options = SERVICES[name]["logging"]["options"]
    assert options["max-size"]
    assert int(options["max-file"]) < 10


def test_the_health_check_of_kafka_starts_no_second_broker_sized_heap() -> None:
    heap, mine = SERVICES["kafka"]["environment"]["KAFKA_HEAP_OPTS"], SERVICES["kafka"]["healthcheck"]["test"]
    assert mine[:2] == ["CMD", "env"]
    megabytes = [int(re.findall(r"-Xmx(\d+)m", text)[0]) for text in (heap, mine[2])]
    assert megabytes[1] * 4 <= megabytes[0]


def test_the_image_has_exact_versions() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    bases = re.findall(r"(?m)^FROM (\S+)", dockerfile)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])
    assert all("--constraint constraints.txt" in line for line in re.findall(r"pip install.*", dockerfile))


def test_the_constraints_hold_every_dependency_in_a_version_that_it_allows() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(re.fullmatch(r"([a-z0-9._-]+)==(\S+)", line).groups() for line in lines if not line.startswith("#"))  # type: ignore[union-attr]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["monitor"], "build", "hatchling"]:
        wanted = Requirement(text)
        assert canonicalize_name(wanted.name) in pinned, f"{wanted.name}: write constraints.txt again"
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)]), wanted


def test_what_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
                assert volume.endswith(":ro")
            else:
                assert source in COMPOSE["volumes"]


def test_workers_read_settings_that_are_valid_and_reach_the_other_services() -> None:
    settings = load_settings(config_dir() / "compose" / "monitor.yaml", environ={})
    assert settings.broker.bootstrap.split(":")[0] in SERVICES
    assert settings.metrics.host == "0.0.0.0"
    (alertmanager,) = [sink for sink in settings.sinks if sink.type == "alertmanager"]
    assert alertmanager.urls[0].host in SERVICES
    scraped = yaml.safe_load((config_dir() / "prometheus" / "compose.yml").read_text())
    assert scraped["scrape_configs"][0]["dns_sd_configs"][0]["names"] == ["featurize", "detect", "notify"]
    assert scraped["scrape_configs"][0]["dns_sd_configs"][0]["port"] == settings.metrics.port


def test_every_part_of_the_package_goes_into_the_image() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    for source in re.findall(r"(?m)^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text()):
        for path in source.split():
            assert (ROOT / path).exists(), path
            assert f"!{path}" in ignore


def compose_command() -> list[str]:
    plugin = ["docker", "compose"]
    if shutil.which("docker") and subprocess.run([*plugin, "version"], capture_output=True).returncode == 0:
        return plugin
    return [program("docker-compose")]


def test_compose_accepts_the_file() -> None:
    command = [*compose_command(), "-f", str(FILE), "config"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(Path.home())}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0
    assert "GRAFANA_ADMIN_PASSWORD" in refused.stderr
    accepted = subprocess.run(
        command, env={**environment, "GRAFANA_ADMIN_PASSWORD": "x"}, capture_output=True, text=True, timeout=60
    )
    assert accepted.returncode == 0, accepted.stderr
    # Anchors and merges resolved, as compose itself sees them.
    understood = yaml.safe_load(accepted.stdout)["services"]
    assert set(understood) == set(SERVICES)
    for name in ("featurize", "detect", "notify"):
        assert understood[name]["read_only"] is True
        assert understood[name]["depends_on"]["topics"]["condition"] == "service_completed_successfully"


def test_secrets_reach_the_workers_and_no_other_service(tmp_path: Path) -> None:
    """As compose itself understands it: variables of oqm.env, and files under /run/secrets."""
    for name in ("docker-compose.yml", "Dockerfile"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "secrets").mkdir()
    shutil.copy(ROOT / "secrets" / "none.env", tmp_path / "secrets")
    (tmp_path / "oqm.env").write_text("OQM_SLACK_WEBHOOK=https://hooks.example/services/x\n")
    command = [*compose_command(), "-f", str(tmp_path / "docker-compose.yml"), "config"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(Path.home()), "GRAFANA_ADMIN_PASSWORD": "x"}
    environment["OQM_ENV_FILE"] = "oqm.env"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for name, service in yaml.safe_load(done.stdout)["services"].items():
        given = service.get("environment", {}).get("OQM_SLACK_WEBHOOK")
        mounted = [volume for volume in service["volumes"] if "/run/secrets" in str(volume)]
        assert (given is not None, bool(mounted)) == (name in OURS, name in OURS), name
    # And the settings can take both.
    (tmp_path / "slack").write_text("https://hooks.example/services/y\n")
    (tmp_path / "monitor.yaml").write_text(
        "sinks:\n- {type: slack, name: a, url: '${OQM_SLACK_WEBHOOK}'}\n"
        f"- {{type: slack, name: b, url_file: {tmp_path}/slack}}\n"
    )
    sinks = load_settings(tmp_path / "monitor.yaml", environ={"OQM_SLACK_WEBHOOK": "https://hooks.example/x"}).sinks
    assert [str(sink.url.get_secret_value())[-1] for sink in sinks if sink.type == "slack"] == ["x", "y"]


def test_secrets_go_neither_into_git_nor_into_the_image() -> None:
    assert "secrets" not in (ROOT / ".dockerignore").read_text()
    assert (ROOT / ".dockerignore").read_text().splitlines()[0] == "*"
    assert "*" in (ROOT / "secrets" / ".gitignore").read_text().splitlines()
    assert "/oqm.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_compose_refuses_what_is_no_compose_file(tmp_path: Path) -> None:
    broken = COMPOSE | {"services": SERVICES | {"kafka": SERVICES["kafka"] | {"mem_limitt": "1g"}}}
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(broken))
    command = [*compose_command(), "-f", str(tmp_path / "docker-compose.yml"), "config"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(Path.home()), "GRAFANA_ADMIN_PASSWORD": "x"}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0
    assert "mem_limitt" in refused.stderr


@pytest.mark.parametrize("name", ["featurize", "detect"])
def test_workers_can_be_scaled(name: str) -> None:
    """Nothing of which there can be only one: a name, a port of the host, a volume that is written."""
    service = SERVICES[name]
    assert "container_name" not in service
    assert "ports" not in service
    assert all(volume.endswith(":ro") for volume in service["volumes"])


def test_prometheus_and_grafana_find_what_is_mounted_for_them() -> None:
    mounted = SERVICES["prometheus"]["volumes"][0].split(":")[0]
    (file,) = re.findall(r"--config.file=/etc/prometheus/(\S+)", " ".join(SERVICES["prometheus"]["command"]))
    config = yaml.safe_load((ROOT / mounted / file).read_text())
    assert [path for pattern in config["rule_files"] for path in (ROOT / mounted).glob(pattern)]
    (address,) = config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert address.split(":")[0] in SERVICES
    source = yaml.safe_load((ROOT / "config/grafana/provisioning/datasources/prometheus.yml").read_text())
    variable = source["datasources"][0]["url"].strip("${}")
    assert SERVICES["grafana"]["environment"][variable] == "http://prometheus:9090"
