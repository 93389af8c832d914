from __future__ import annotations

import io
import json
import os

from monitor.alerting.rendering.plain_text import block
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import Severity
from monitor.errors import PermanentDelivery, RetryableDelivery
from monitor.sinks.base import Resources
from monitor.sinks.log.config import LogSinkConfig
from monitor.sinks.log.sink import LogSink
from monitor.testing.sinks import check_failure, check_sink


async def test_keeps_the_contract() -> None:
    stream = io.StringIO()
    config = LogSinkConfig(type="log", format="json")
    await check_sink(lambda: LogSink(config, Resources(stream=stream)), lambda: [None] * stream.getvalue().count("\n"))


async def test_writes_the_block() -> None:
    stream = io.StringIO()
    await LogSink(LogSinkConfig(type="log"), Resources(stream=stream)).send(sample_alert())
    assert stream.getvalue() == block(sample_alert()) + "\n"


async def test_writes_one_line_of_json() -> None:
    stream = io.StringIO()
    await LogSink(LogSinkConfig(type="log", format="json"), Resources(stream=stream)).send(sample_alert())
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["fingerprint"] == sample_alert().fingerprint


async def test_a_stream_that_cannot_say_a_character_gets_a_question_mark() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    await LogSink(LogSinkConfig(type="log"), Resources(stream=stream)).send(sample_alert(stream="süd/漢字"))
    assert b"s?d/??" in raw.getvalue()


async def test_takes_by_route_and_severity() -> None:
    config = LogSinkConfig(type="log", routes=("team-*", "x"), min_severity=Severity.WARNING)
    sink = LogSink(config, Resources(stream=io.StringIO()))
    assert sink.takes(sample_alert(route="team-a"))
    assert not sink.takes(sample_alert(route="other"))
    louder = LogSinkConfig(type="log", min_severity=Severity.CRITICAL)
    assert not LogSink(louder, Resources(stream=io.StringIO())).takes(sample_alert())


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


async def test_a_full_disk_may_pass_a_closed_stream_will_not() -> None:
    config = LogSinkConfig(type="log")
    await check_failure(LogSink(config, Resources(stream=Full())), RetryableDelivery)
    closed = io.StringIO()
    closed.close()
    await check_failure(LogSink(config, Resources(stream=closed)), PermanentDelivery)
    read, write = os.pipe()
    os.close(read)
    pipe = os.fdopen(write, "w")
    await check_failure(LogSink(config, Resources(stream=pipe)), PermanentDelivery)
    os.dup2(os.open(os.devnull, os.O_WRONLY), write)  # what is buffered must go somewhere
    pipe.close()
