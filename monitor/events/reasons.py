"""`Reason`: why a message is no output event. The codes are stable: metric labels and dead-letter headers carry them.

May import nothing from this project.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Every reason that `InvalidEvent` is raised with, in the order in which a message is looked at."""

    NULL_VALUE = "null_value"  # Kafka message without a value (a tombstone)
    EMPTY = "empty"  # zero bytes, or white space alone
    TOO_LARGE = "too_large"  # more bytes than the reader takes
    WRONG_ENCODING = "wrong_encoding"  # UTF-16 or UTF-32
    NOT_UTF8 = "not_utf8"
    NON_FINITE = "non_finite"  # NaN or Infinity, which JSON does not have
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"  # nested deeper than anything that reads it later can follow
    NOT_OBJECT = "not_object"  # JSON, but an array, a string, a number
    BAD_CLOUDEVENT = "bad_cloudevent"  # an envelope that cannot be opened
    BAD_GEN_AI = "bad_gen_ai"  # OpenTelemetry attributes of another form than the conventions give them
    MISSING_STREAM = "missing_stream"
    MISSING_OUTPUT = "missing_output"  # no output, and no error that would explain it
    BAD_TIME = "bad_time"  # neither RFC 3339 nor seconds since 1970
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"  # right type, impossible value: negative counts, names too long, integers too big
    BAD_ROW = "bad_row"  # replay files: a row that does not fit its header
    UNREADABLE = "unreadable"  # replay files: damaged from here on
