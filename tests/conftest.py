"""What holds for every test: required services may not be skipped over in silence, and one process has the brokers.

`OQM_REQUIRE_KAFKA=1` (set by `.ci/run`) turns each skip of a test marked `kafka` into a failure, and a run in which no
such test passed into a failed run. `OQM_REQUIRE_TRANSFORMERS=1` does the same for the marker `transformers`.

Tests run in two processes (`make test`, pytest-xdist). Those marked `kafka` mostly wait, so one process takes them all,
with one broker, while the other computes.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

# Two shared cores make wall time say nothing about the code: no deadlines, and the same examples on every run in CI.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

_REQUIRED = {"kafka": "OQM_REQUIRE_KAFKA", "transformers": "OQM_REQUIRE_TRANSFORMERS"}
_MARKED = "required marker"
_passed: set[str] = set()


def _required() -> list[str]:
    return [marker for marker, variable in _REQUIRED.items() if os.environ.get(variable) == "1"]


def _never_passed() -> list[str]:
    return [marker for marker in _required() if marker not in _passed]


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL, one for all tests of a process."""
    from tests.servers import postgres

    with postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture
def postgres_database(postgres_server: str) -> str:
    """The URL of an empty database there, for one test."""
    from tests.servers import empty_database

    return empty_database(postgres_server)


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("kafka") is not None:
            item.add_marker(pytest.mark.xdist_group("kafka"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for marker in _required():
        if item.get_closest_marker(marker) is None:
            continue
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            report.outcome = "failed"
            report.longrepr = f"{_REQUIRED[marker]}=1, but this test skipped: {reason}"
        elif report.when == "call" and report.passed:
            report.user_properties.append((_MARKED, marker))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # With xdist, reports come to the process that decides. Their keywords would not do: those of a folder are in them.
    _passed.update(str(marker) for name, marker in report.user_properties if name == _MARKED)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    decides = not hasattr(session.config, "workerinput")
    if decides and exitstatus == pytest.ExitCode.OK and _never_passed():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for marker in _never_passed():
        terminalreporter.write_line(
            f"{_REQUIRED[marker]}=1, but no test marked `{marker}` passed: the run fails.", red=True
        )
