"""What the configurations of all evaluators share. Each evaluator's module adds its type.

Imported by the settings, so it loads no HTTP client. May import `monitor.config_values` and below.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, model_validator

from monitor.config_values.checked_text import matching
from monitor.config_values.durations import Duration
from monitor.config_values.plain_errors import MisplacedError
from monitor.config_values.secret_files import SecretText, secrets_from_files

EvaluatorName = Annotated[
    str, matching(r"[a-z0-9][a-z0-9_.-]{0,63}", "1 to 64 of a-z, 0-9, dot, _ and -, first a letter or digit")
]


class Sent(StrEnum):
    """In which form a text of an event goes to an evaluator."""

    FULL = "full"
    MASKED = "masked"  # secrets and personal data are replaced, the rest is exact
    NONE = "none"


class SentTexts(BaseModel):
    """Which texts an evaluator gets. What is masked looks masked to it, too: a criterion cannot ask about that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: Sent = Field(Sent.MASKED, description="what was answered: full or masked")
    input: Sent = Field(Sent.MASKED, description="what was asked: full, masked or none")
    prompt: Sent = Field(Sent.NONE, description="the prompt's text: full, masked or none")
    longest: int = Field(
        24_000, ge=200, le=1_000_000, description="characters of one text; of a longer one the middle is left out"
    )

    @model_validator(mode="after")
    def _there_is_something_to_judge(self) -> SentTexts:
        if self.output is Sent.NONE:
            raise MisplacedError("must be full or masked: without the output there is nothing to judge", "output")
        return self


class SpendLimit(BaseModel):
    """What an evaluator may use in a day (UTC), over all workers; null: no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd_per_day: float | None = Field(None, gt=0, description="US dollars by `prices`")
    tokens_per_day: int | None = Field(None, gt=0, description="tokens, of requests and answers")


class Prices(BaseModel):
    """What tokens cost, in US dollars for a million."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(0.0, ge=0, description="of the request")
    output: float = Field(0.0, ge=0, description="of the answer")

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """US dollars of one answer."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class EvaluatorConfig(BaseModel):
    """An evaluator's name and limits.

    A subclass sets `kind` (a `Literal` of one word) and `EXAMPLE`: its settings as lines of YAML, which
    `config/monitor.yaml` and the reference show.
    """

    EXAMPLE: ClassVar[str]

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="which kind of evaluator")
    name: EvaluatorName = Field(description="unique; criteria name it, and its judgments carry it")
    concurrency: int = Field(4, ge=1, le=256, description="most requests at the same time, of one worker")
    requests_per_minute: float | None = Field(
        None, gt=0, description="most requests a minute, of one worker; null: as many as are needed"
    )
    spend: SpendLimit = Field(default_factory=SpendLimit, description="what it may use in a day, over all workers")
    prices: Prices = Field(default_factory=Prices, description="US dollars for a million tokens")
    texts: SentTexts = Field(default_factory=SentTexts, description="which texts it gets, and in which form")

    @model_validator(mode="after")
    def _a_limit_in_dollars_needs_prices(self) -> EvaluatorConfig:
        if self.spend.usd_per_day is not None and not (self.prices.input or self.prices.output):
            raise MisplacedError("needs `prices`: without them no answer costs anything", "spend", "usd_per_day")
        return self


class HttpEvaluatorConfig(EvaluatorConfig):
    """An evaluator that is asked over HTTP."""

    url: HttpUrl = Field(description="where it is asked")
    api_key: SecretText | None = Field(
        None, description="sent as `Authorization: Bearer`, better ${NAME} than in the file; null: none"
    )
    api_key_file: str | None = Field(None, description="file that holds the key, instead")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="headers to add, such as api-key")
    header_files: dict[str, str] = Field(
        default_factory=dict, description="the same from files that hold the value, such as {api-key: PATH}"
    )
    timeout: Duration = Field(
        30.0, gt=0, le=600, validate_default=True, description="limit for the whole exchange, answer included"
    )

    _secrets = secrets_from_files("api_key", mappings=(("headers", "header_files"),))
