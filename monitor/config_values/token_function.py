"""The function that an operator names to get OAUTHBEARER tokens from: `package.module:function`.

May import `monitor.errors` only.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from monitor.errors import ConfigError


def token_function(name: str) -> Callable[[], object]:
    """The function, imported from the Python path. Raises `ConfigError` that says which part of the name is not there.

    Called where the settings are checked and where Kafka clients are made.
    """
    module_name, _, function_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"broker.sasl.token_provider: {module_name} cannot be imported: {error}; "
            "install it beside the monitor, or add its folder to PYTHONPATH"
        ) from error
    found = getattr(module, function_name, None)
    if not callable(found):
        raise ConfigError(f"broker.sasl.token_provider: {module_name} has no function {function_name}")
    return found  # type: ignore[no-any-return]
