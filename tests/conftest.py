"""What holds for every test: required services may not be skipped over in silence.

`OQM_REQUIRE_KAFKA=1` (set by `.ci/run`) turns each skip of a test marked `kafka` into a failure, and a run in which no
such test passed into a failed run.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# Two shared cores make wall time say nothing about the code: no deadlines, and the same examples on every run in CI.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

_KAFKA_PASSED = pytest.StashKey[int]()


def _kafka_required() -> bool:
    return os.environ.get("OQM_REQUIRE_KAFKA") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not _kafka_required() or item.get_closest_marker("kafka") is None:
        return report
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"real Kafka is required (OQM_REQUIRE_KAFKA=1), but this test skipped: {reason}"
    elif report.when == "call" and report.passed:
        item.config.stash[_KAFKA_PASSED] = item.config.stash.get(_KAFKA_PASSED, 0) + 1
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _kafka_required() and exitstatus == pytest.ExitCode.OK and not session.config.stash.get(_KAFKA_PASSED, 0):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _kafka_required() and not terminalreporter.config.stash.get(_KAFKA_PASSED, 0):
        terminalreporter.write_line("OQM_REQUIRE_KAFKA=1, but no test marked `kafka` passed: the run fails.", red=True)
