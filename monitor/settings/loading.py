"""Reads the settings' file. Called by every command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from monitor.errors import ConfigError
from monitor.settings.models import Settings
from monitor.settings.yaml_loader import parse


def load_settings(path: str | Path | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in the YAML file at `path`, or the defaults where it is None.

    `environ` is where `${NAME}` is looked up, the process's environment where it is None. Raises `ConfigError` with
    one line per mistake (`monitor.yaml:12 streams[0].warmup: must be >= 100`), all at once.
    """
    if path is None:
        return Settings()
    text = read_settings_text(path)
    return parse(Settings, text, name=str(path), environ=os.environ if environ is None else environ)


def read_settings_text(path: str | Path) -> str:
    """The text of a settings file. Raises `ConfigError` where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
