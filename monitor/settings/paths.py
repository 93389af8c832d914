"""Where the files that operators edit lie: in a checkout `config/`, in an installed wheel `monitor/config/`.

May import `monitor.errors` only.
"""

from __future__ import annotations

from pathlib import Path

from monitor.errors import ConfigError


def config_dir() -> Path:
    """The folder with `monitor.yaml`, `runbooks/`, `prometheus/`, `alertmanager/` and `grafana/`.

    A checkout's own folder wins, so that what is edited there is what runs. Raises `ConfigError` where neither is there
    (a broken installation).
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parent / "config", package / "config"):
        if (folder / "runbooks").is_dir():
            return folder
    raise ConfigError(f"the folder config/ is missing beside {package}: install output-quality-monitor again")
