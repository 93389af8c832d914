"""Checks of evaluators: that each is asked, and that a key is not sent in clear text."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from monitor.evaluators.config import HttpEvaluatorConfig
from monitor.settings import Settings
from monitor.settings.problem import Problem


def evaluator_problems(settings: Settings) -> Iterator[Problem]:
    """Evaluators that no criterion names, keys that travel unencrypted beyond this machine, people without a queue."""
    yield from _people_without_queue(settings)
    named = {criterion.evaluator for criterion in settings.judged}
    for index, config in enumerate(settings.evaluators):
        if config.name not in named:
            what = f"no criterion names the evaluator {config.name}: it is never asked"
            yield Problem(("evaluators", index, "name"), what, error=False)
        if isinstance(config, HttpEvaluatorConfig) and _in_clear_text(config):
            what = "is not encrypted: texts and key can be read on the way; use https"
            yield Problem(("evaluators", index, "url"), what, error=False)


def _people_without_queue(settings: Settings) -> Iterator[Problem]:
    if settings.store.location:
        return
    for index, stream in enumerate(settings.streams):
        for place, criterion in enumerate(stream.criteria):
            if criterion.people is not None:
                what = "needs store.location: the worker's role store fills the review queue"
                yield Problem(("streams", index, "criteria", place, "people"), what)


def _in_clear_text(config: HttpEvaluatorConfig) -> bool:
    """Whether the key, or texts, leave this machine over http. Names without a dot are of the same network."""
    host = config.url.host or ""
    if config.url.scheme != "http" or host == "localhost":
        return False
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "." in host
    return not (address.is_loopback or address.is_private)
