from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import ConfigError
from monitor.settings import paths
from monitor.settings.paths import config_dir


def test_everything_that_operators_edit_is_there() -> None:
    for name in ("monitor.yaml", "runbooks", "prometheus", "alertmanager", "grafana"):
        assert (config_dir() / name).exists()


@pytest.mark.parametrize("place", ["config", "monitor/config"])
def test_it_is_found_in_a_checkout_and_in_an_installed_package(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / place / "runbooks").mkdir(parents=True)
    (tmp_path / "monitor").mkdir(exist_ok=True)
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "monitor" / "settings" / "paths.py"))
    assert config_dir() == tmp_path / place


def test_another_packages_folder_of_the_same_name_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()  # site-packages/config of somebody else
    (tmp_path / "monitor" / "config" / "runbooks").mkdir(parents=True)
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "monitor" / "settings" / "paths.py"))
    assert config_dir() == tmp_path / "monitor" / "config"


def test_a_broken_installation_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "monitor" / "settings" / "paths.py"))
    with pytest.raises(ConfigError, match="install output-quality-monitor again"):
        config_dir()
