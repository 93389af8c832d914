"""The section `judging`: how outputs are drawn for evaluation models, and how long an evaluator is awaited."""

from __future__ import annotations

from pydantic import Field

from monitor.config_values.durations import Duration
from monitor.config_values.secret_files import SecretText, secrets_from_files
from monitor.settings.part import Part


class Judging(Part):
    """How outputs are drawn for evaluation models, and how long an evaluator is awaited."""

    salt: SecretText | None = Field(
        None,
        description="secret that decides with an event's id which outputs are drawn, so that who chooses ids cannot "
        "foresee it; null: the id that Kafka gave the outputs topic, the same until that topic is made again",
    )
    salt_file: str | None = Field(None, description="file that holds the salt, instead")
    give_up_after: Duration = Field(
        3_600.0,
        gt=0,
        validate_default=True,
        description="how long an output waits for an evaluator that does not answer; then its judgment is missing",
    )

    _secrets = secrets_from_files("salt")
