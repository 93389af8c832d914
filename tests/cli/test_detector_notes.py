"""What `oqm check-config` says of `detectors`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.run_oqm import oqm


def checked(tmp_path: Path, text: str) -> tuple[int, list[str], list[str]]:
    """Exit code, lines of stdout behind the first, lines of stderr."""
    file = tmp_path / "monitor.yaml"
    file.write_text(text)
    done = oqm("check-config", file)
    return done.returncode, done.stdout.splitlines()[1:], done.stderr.splitlines()


def entries(*entries: str) -> str:
    return "detection:\n  detectors:\n" + "".join(f"  - {entry}\n" for entry in entries)


def test_it_says_which_numbers_get_a_detector_and_what_stays(tmp_path: Path) -> None:
    code, out, warnings = checked(tmp_path, entries("{features: 'output.tone.*', detector: adwin}"))
    assert (code, warnings) == (0, [])
    (line,) = out
    assert line.startswith('detection.detectors[0]: adwin on "output.tone.*" watches ')
    assert " numbers: output.tone." in line
    assert "; flags and categories stay in the evidence: output.tone.refusal (flag)" in line


def test_without_a_glob_it_is_all_numbers(tmp_path: Path) -> None:
    _, (line,), _ = checked(tmp_path, entries("{detector: kswin}"))
    assert 'kswin on "*" watches' in line
    assert "and 3" in line or "more" in line


def test_one_number_alone(tmp_path: Path) -> None:
    _, (line,), _ = checked(tmp_path, entries("{features: output.length.chars, detector: evidence}"))
    assert line == 'detection.detectors[0]: evidence on "output.length.chars" watches 1 number: output.length.chars'


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{features: output.tone.refusal, detector: adwin}", "stay in the evidence: output.tone.refusal (flag)"),
        ("{features: output.language.code, detector: adwin}", "output.language.code (category)"),
        ("{features: 'call.dependency.duration_s?orders?', detector: adwin}", "single dependencies"),
    ],
)
def test_what_has_no_effect_is_warned_of(tmp_path: Path, entry: str, says: str) -> None:
    code, out, (warning,) = checked(tmp_path, entries(entry))
    assert (code, out) == (0, [])
    assert warning.startswith("warning: detection.detectors[0]: adwin on ")
    assert says in warning


def test_a_glob_that_matches_no_feature_is_an_error(tmp_path: Path) -> None:
    code, out, (error,) = checked(tmp_path, entries("{features: 'outptu.*', detector: adwin}"))
    assert (code, out) == (2, [])
    assert "detection.detectors[0].features: no feature is called outptu.*" in error


def test_an_entry_that_a_later_one_replaces_is_warned_of(tmp_path: Path) -> None:
    text = entries("{features: 'output.length.*', detector: adwin}", "{features: 'output.*', detector: kswin}")
    _, out, (warning,) = checked(tmp_path, text)
    assert "detectors[0]" in warning
    assert "each number that it matches is matched by a later entry" in warning
    assert "detectors[1]" in out[0]


def test_what_is_left_out_anyway_is_warned_of(tmp_path: Path) -> None:
    text = entries("{features: output.length.chars, detector: adwin}") + "  exclude: ['output.length.*']\n"
    _, _, (warning,) = checked(tmp_path, text)
    assert "left out by features or exclude" in warning


def test_overrides_are_checked_too(tmp_path: Path) -> None:
    text = (
        "streams:\n- match: 'a/*'\n  detectors: [{features: output.language.code, detector: adwin}]\n"
        "- match: 'b/*'\n  warmup: 200\n"
    )
    code, out, (warning,) = checked(tmp_path, text)
    assert (code, out) == (0, [])
    assert warning.startswith("warning: streams[0].detectors[0]: ")


@pytest.mark.parametrize(
    ("entry", "where", "says"),
    [
        ("{detector: adwim}", "detection.detectors[0].detector", "there is no detector 'adwim'; there are adwin,"),
        ("{detector: adwin, parameters: {delta: 5}}", "detection.detectors[0]", "delta must be > 0 and < 1, not 5"),
        ("{detector: kswin, parameters: {stat_size: 90}}", "detection.detectors[0]", "at least twice stat_size"),
        ("{detector: evidence, parameters: {warmup: 3}}", "detection.detectors[0]", "whole number >= 30"),
        ("{feature: 'x', detector: adwin}", "detection.detectors[0].feature", ""),
        ("{features: 'x'}", "detection.detectors[0].detector", ""),
    ],
)
def test_mistakes_are_refused_with_their_place(tmp_path: Path, entry: str, where: str, says: str) -> None:
    code, out, (line,) = checked(tmp_path, entries(entry))
    assert (code, out) == (2, [])
    assert where in line
    assert says in line


def test_no_detectors_no_lines(tmp_path: Path) -> None:
    assert checked(tmp_path, "detection: {warmup: 300}\n") == (0, [], [])
