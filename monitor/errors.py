"""Every exception this project raises on purpose, in one tree.

The class says what the caller can do: change the input, change the configuration, try again later, or give up.

    OqmError
      InvalidEvent         one message cannot be read; it goes to the dead-letter topic with `reason`
      ConfigError          what an operator wrote is wrong; the message names file, line and key
      StateError           a snapshot or message of a format that this version does not read
      BrokerError          Kafka is not there, or a topic is missing
      DeliveryError        an alert could not be handed to a receiver
        RetryableDelivery  ... and trying later may help
        PermanentDelivery  ... and trying again will not help
      EvaluationError      an evaluation model gave no verdict
        RetryableEvaluation  ... and asking again may help
        NoVerdict            ... for this output; others may get one
        EvaluatorBlocked     ... for no output, until an operator acts

May import nothing from this project.
"""

from __future__ import annotations


class OqmError(Exception):
    """Base of all errors raised on purpose by the monitor."""


class InvalidEvent(OqmError):
    """A message that is no valid output event.

    Parameters
    ----------
    reason
        Short stable code, used as a metric label and dead-letter header (`not_json`, `wrong_type`, ...).
    detail
        One sentence that says what to change.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ConfigError(OqmError):
    """Configuration or command-line input that cannot be used; the text says what to change and where."""


class StateError(OqmError):
    """A snapshot or log message written in a format that this version cannot read."""


class BrokerError(OqmError):
    """Kafka cannot be reached, refuses, or lacks a topic."""


class DeliveryError(OqmError):
    """An alert could not be delivered to a receiver."""


class RetryableDelivery(DeliveryError):
    """Delivery failed in a way that may pass; `retry_after_s` is the receiver's own wish, if it gave one."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PermanentDelivery(DeliveryError):
    """Delivery failed for good: the receiver refused this request as it is."""


class EvaluationError(OqmError):
    """An evaluation model gave no verdict."""


class RetryableEvaluation(EvaluationError):
    """Asking again may help; `retry_after_s` is the evaluator's own wish, if it gave one.

    `kind` is why a judgment is missing where asking again is given up: `unavailable` or `timeout`.
    """

    def __init__(self, message: str, retry_after_s: float | None = None, kind: str = "unavailable") -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.kind = kind


class NoVerdict(EvaluationError):
    """This output gets no verdict; `kind` is why the judgment is missing: `unreadable`, `refused`, `rejected`.

    `tokens` are those of the request and of the answer, which are paid all the same.
    """

    def __init__(self, kind: str, message: str, tokens: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message)
        self.kind = kind
        self.tokens = tokens


class EvaluatorBlocked(EvaluationError):
    """The evaluator answers no request: its key, its billing, its model or its address is wrong."""
