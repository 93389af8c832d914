"""Secrets from files: for each secret `password` of a section, `password_file` names a file that holds it.

As Docker's and Kubernetes' secrets are mounted. The file is read when the settings are, and a trailing line break is
left out. May import `monitor.config_values.plain_errors` only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr, model_validator

from monitor.config_values.plain_errors import MisplacedError

FILE = "_file"
"""What is added to a secret's key to name the file that holds it."""


_LONGEST_SHOWN = 200
"""Characters of a path in a message: longer than paths are, shorter than a secret that was put there by mistake."""


def _not_empty(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value():
        raise ValueError("must not be empty")
    return secret


SecretText = Annotated[SecretStr, AfterValidator(_not_empty)]
"""A secret in the settings. An empty one is a mistake: most often a variable that is set to nothing."""


def read_secret(path: str) -> str:
    """The file's text without the line break at its end. Raises `ValueError` that names the file, not its content."""
    shown = path if len(path) <= _LONGEST_SHOWN else f"{path[:_LONGEST_SHOWN]}..."
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{shown} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{shown} is not UTF-8 text") from None
    except ValueError:  # a NUL in the path
        raise ValueError("is no path of a file") from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ValueError(f"{shown} is empty")
    return secret


def secrets_from_files(*names: str, mappings: tuple[tuple[str, str], ...] = ()) -> Any:
    """A validator for a section: fills each of the fields `names` from its `..._file`.

    `mappings` are pairs of fields that are mappings: of names to secrets, and of the same names to files. After it ran,
    the file's field is empty, so that a section can be checked again as it is. Raises `MisplacedError` where both the
    secret and its file are given, or the file gives none.
    """

    def fill(data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        filled = dict(data)
        for name in names:
            if filled.get(name + FILE) is None:
                continue
            filled[name] = _only(filled, name, name + FILE, filled.pop(name + FILE), (name + FILE,))
        for secrets, files in mappings:
            given = filled.get(files)
            if not isinstance(given, dict) or not isinstance(filled.get(secrets, {}), dict):
                continue
            filled[secrets] = dict(filled.get(secrets) or {})
            for key, path in filled.pop(files).items():
                filled[secrets][key] = _only(filled[secrets], key, f"{files}.{key}", path, (files, key))
        return filled

    return model_validator(mode="before")(fill)


def _only(given: dict[str, Any], name: str, file_key: str, path: object, at: tuple[str, ...]) -> str:
    if given.get(name) is not None:
        raise MisplacedError(f"is set as well as {name}: give one of the two", *at)
    if not isinstance(path, str):
        raise MisplacedError("must be the path of a file", *at)
    try:
        return read_secret(path)
    except ValueError as error:
        raise MisplacedError(str(error), *at) from None
