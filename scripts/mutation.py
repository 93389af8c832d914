"""Mutation tests of `monitor.detection`: which small errors in the code would no test notice?

python -m scripts.mutation [--limit N] [--survivors] [MODULE ...]        # all modules of `TESTS` by default

Cosmic Ray (`pip install -e '.[mutation]'`) makes the mutants, each one small change of one module: a number plus or
minus 1, `<` for `<=`, `and` for `or`, a condition negated, a loop that never runs. Each is tested by the tests that
belong to its module (`TESTS`); a mutant that they do not notice has survived, and is either a hole in the tests or
changes nothing that can be seen. docs/mutation.md has the figures and how to read them.

Everything happens in a copy of the checkout. Results are kept in build/mutation, one Cosmic Ray session for each text
of a module: a run that is stopped goes on where it was, and `--survivors` tests again only what survived,
after tests were added. `cosmic-ray dump` and `cr-html` read the sessions.

A mutant's tests run in a forked process in which NumPy, SciPy, Numba and pytest are already imported: starting Python
for each would take longer than the tests. Functions stay compiled (`monitor.detection.state.jit`): Numba compiles a
function again when its file has changed, so mutants of compiled functions are tested as they would run. What a compiled
function reads from another module it does not look at again, so for these modules (`READ_BY_COMPILED`) each mutant
starts with an empty cache.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code, use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "mutation"
PACKAGE, TEST_FOLDER = "monitor/detection", "tests/detection"
COPIED = ("monitor", "pipelines", "scripts", "tests", "config")

TESTS = {
    "canary/canary_monitor": ("canary/test_canary_monitor",),
    "canary/comparison": ("canary/test_canary_monitor",),
    "canary/difference": ("canary/test_canary_monitor",),
    "canary/versions": ("canary/test_canary_monitor",),
    "columns/keyed_columns": ("columns/test_keyed_columns",),
    "columns/known_values": ("columns/test_known_values",),
    "columns/rare_categories": ("columns/test_rare_categories",),
    "columns/recent_rows": ("columns/test_recent_rows",),
    "diagnosis/change_point": ("diagnosis/test_change_point",),
    "diagnosis/classify": ("diagnosis/test_classify",),
    "diagnosis/sample_comparison": ("diagnosis/test_sample_comparison",),
    "diagnosis/shift": ("diagnosis/test_shift",),
    "diagnosis/trend_forecast": ("diagnosis/test_trend_forecast",),
    "evidence/segment_bet": ("evidence/test_segment_bet",),
    "evidence/shiryaev_roberts": ("evidence/test_shiryaev_roberts",),
    "evidence/two_sample": ("evidence/test_two_sample",),
    "records/control": ("records/test_control",),
    "records/cooldown": ("records/test_cooldown",),
    "records/declared_features": ("records/test_declared_features",),
    "records/finding_kinds": ("records/test_finding_kinds",),
    "records/log_format": ("records/test_log_format",),
    "records/status": ("records/test_status",),
    "recovery/choice": ("recovery/test_recovery",),
    "recovery/column": ("recovery/test_recovery",),
    "recovery/recovery": ("recovery/test_recovery",),
    "reference/moments": ("reference/test_moments",),
    "reference/stratification": ("reference/test_stratification",),
    "slo/burn_rate": ("slo/test_burn_rate",),
    "slo/slo_monitor": ("slo/test_burn_rate",),
    "stream/due_times": ("stream/test_due_times",),
    "stream/verdict": ("stream/test_verdict",),
    "stream/warmup_check": ("stream/test_warmup_check",),
    "volume/dispersion": ("volume/test_rate_change",),
    "volume/event_windows": ("volume/test_rate_change",),
    "volume/hour_of_week": ("volume/test_hour_of_week",),
    "volume/lateness": ("volume/test_lateness",),
    "volume/rate_change": ("volume/test_rate_change",),
}
"""Modules of `monitor/detection`, and the files of `tests/detection` that a mutant of each has to get past."""

READ_BY_COMPILED = {"reference/moments"}
"""Modules whose constants are compiled into functions of another module (`evidence/number_bets`)."""

OPERATORS = re.compile(
    "core/("
    "NumberReplacer|AddNot|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceTrueWithFalse|ReplaceFalseWithTrue"
    "|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ZeroIterationForLoop"
    "|ReplaceUnaryOperator_(Delete_Not|USub_UAdd|Delete_Invert)"
    "|ReplaceComparisonOperator_(Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is)"
    "|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_FloorDiv|Pow_Mul|BitAnd_BitOr|BitOr_BitAnd"
    "|LShift_RShift|RShift_LShift))"
)
"""Errors that people make. Cosmic Ray has 100 more pairs of operators (`+` for `<<`), which nearly any test notices."""

PRELOADED = (
    "numpy.testing",
    "scipy.special",
    "scipy.stats",
    "numba",
    "msgspec",
    "pydantic",
    "yaml",
    "pandas",
    "pytest",
    "hypothesis.extra.numpy",
    "pytest_asyncio",
    "xdist.plugin",
    "pytest_timeout",
    "anyio.pytest_plugin",
)
"""What the tests import that is not ours: imported once, before the first fork."""

MIN_TIMEOUT_S, TIMEOUT_FACTOR = 20.0, 5.0
"""A mutant whose tests take this many times as long as without it hangs, and counts as killed; but never less than
so many seconds, in which a busy machine finishes the shortest tests."""

SEED = 0  # of the sample that `--limit` takes: the same one at each run


class Score(NamedTuple):
    """What the tests of one module made of its mutants."""

    module: str
    possible: int
    killed: int
    survived: int
    seconds: float


def module_file(module: str) -> Path:
    """A module's file, from the root of a checkout."""
    return Path(PACKAGE) / f"{module}.py"


def test_files(module: str) -> list[str]:
    """The files of its tests, from the root of a checkout."""
    return [f"{TEST_FOLDER}/{name}.py" for name in TESTS[module]]


def copy_tree(tree: Path) -> None:
    """Copy this checkout, times of files included, so that what was compiled before need not be again."""
    for part in COPIED:
        shutil.copytree(ROOT / part, tree / part)
    shutil.copy2(ROOT / "pyproject.toml", tree)


def declarations(text: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations and options of classes (`frozen=True`) stand, (line, column) to (line, column).

    No test sees a mutant of one, and none has to.
    """
    for node in ast.walk(ast.parse(text)):
        options: list[ast.expr] = []
        if isinstance(node, ast.ClassDef):
            calls = [each for each in node.decorator_list if isinstance(each, ast.Call)]
            options = [keyword.value for each in (node, *calls) for keyword in each.keywords]
        for one in (getattr(node, "annotation", None), getattr(node, "returns", None), *options):
            if one is not None:
                yield (one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset)


def mutants(session: WorkDB, text: str) -> list[WorkItem]:
    """The mutants to test, in the order of the file."""
    inert = list(declarations(text))
    lines = text.splitlines()

    def counts(one: MutationSpec) -> bool:
        line, column = one.start_pos
        declared = any(begin <= one.start_pos < end for begin, end in inert)
        of_signature = lines[line - 1][column:].startswith("*,")  # the mark of keyword-only arguments, no product
        return OPERATORS.fullmatch(one.operator_name) is not None and not declared and not of_signature

    def place(item: WorkItem) -> tuple[object, ...]:
        one = item.mutations[0]
        return one.start_pos, one.operator_name, one.occurrence

    return sorted((item for item in session.work_items if counts(item.mutations[0])), key=place)


def run_tests(files: Sequence[str], mutated: bool, compile_again: bool) -> None:
    """In a process forked for it: run the tests, and exit with pytest's code."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.dont_write_bytecode = mutated  # what one mutant leaves behind might be taken for the next one's
    if compile_again:
        import numba

        numba.config.CACHE_DIR = tempfile.mkdtemp(dir=BUILD)
    import pytest

    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files])
    if compile_again:
        shutil.rmtree(numba.config.CACHE_DIR)
    os._exit(int(code))


def outcome(module: str, timeout: float, mutated: bool = True) -> TestOutcome:
    """Whether the tests of a module, as it stands now in the copy, pass (`SURVIVED`) or fail (`KILLED`)."""
    arguments = (test_files(module), mutated, mutated and module in READ_BY_COMPILED)
    process = multiprocessing.get_context("fork").Process(target=run_tests, args=arguments)
    process.start()
    process.join(timeout)
    if process.is_alive():
        os.killpg(process.pid, 9)
        process.join()
    passed, failed, interrupted, internal = 0, 1, 2, 3  # exit codes of pytest; the others say that no test ran
    if process.exitcode in (failed, interrupted, internal) or process.exitcode < 0:
        return TestOutcome.KILLED
    if process.exitcode != passed:
        sys.exit(f"{module}: pytest ended with {process.exitcode} on {' '.join(test_files(module))}")
    return TestOutcome.SURVIVED


def unmutated_seconds(module: str) -> float:
    """How long its tests take without a mutant, at the second run; they have to pass."""
    for _ in range(2):
        began = time.monotonic()
        if outcome(module, timeout=600, mutated=False) is not TestOutcome.SURVIVED:
            sys.exit(f"{module}: {' '.join(test_files(module))} fail without any mutant")
    return time.monotonic() - began


def changed_line(text: str, one: MutationSpec) -> str:
    """What a mutant changes, in one line: the number of the line, and its text before and after."""
    mutated = mutate_code(text, get_operator(one.operator_name)(**one.operator_args), one.occurrence)
    for number, (before, after) in enumerate(zip(text.splitlines(), mutated.splitlines(), strict=False), start=1):
        if before != after:
            return f"{number:4}  {before.strip()}   ->   {after.strip()}"
    return f"{one.start_pos[0]:4}  {one.operator_name}"


def examine(module: str, limit: int | None, again: bool) -> Score:
    """Test the mutants of one module that are still to be tested, and print those that survive."""
    file = module_file(module)
    text = file.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    path = BUILD / f"{module.replace('/', '.')}.{digest}.sqlite"
    began = time.monotonic()
    with use_db(path, WorkDB.Mode.create) as session:
        if not session.num_work_items:
            init([file], session, {})
        possible = mutants(session, text)
        chosen = possible
        if limit is not None and limit < len(possible):
            taken = set(random.Random(SEED).sample(range(len(possible)), limit))
            chosen = [item for at, item in enumerate(possible) if at in taken]
        known = {item.job_id: result.test_outcome for item, result in session.completed_work_items}
        todo = [
            item
            for item in chosen
            if item.job_id not in known or (again and known[item.job_id] is TestOutcome.SURVIVED)
        ]
        timeout = max(MIN_TIMEOUT_S, TIMEOUT_FACTOR * unmutated_seconds(module)) if todo else 0.0
        for item in todo:
            one = item.mutations[0]
            with use_mutation(one.module_path, get_operator(one.operator_name)(**one.operator_args), one.occurrence):
                known[item.job_id] = outcome(module, timeout)
            session.set_result(item.job_id, WorkResult(WorkerOutcome.NORMAL, test_outcome=known[item.job_id]))
            if known[item.job_id] is TestOutcome.SURVIVED:
                print(f"  {module}  {changed_line(text, one)}", flush=True)
    survived = sum(known[item.job_id] is TestOutcome.SURVIVED for item in chosen)
    return Score(module, len(possible), len(chosen) - survived, survived, time.monotonic() - began)


def table(scores: Sequence[Score]) -> str:
    """The scores as Markdown, worst first."""
    rows = ["| module | mutants | tested | killed | survived | s |", "|---|---:|---:|---:|---:|---:|"]
    for one in sorted(scores, key=lambda one: one.killed / max(one.killed + one.survived, 1)):
        tested = one.killed + one.survived
        share = f"{one.killed} ({100 * one.killed / max(tested, 1):.0f} %)"
        rows.append(f"| {one.module} | {one.possible} | {tested} | {share} | {one.survived} | {one.seconds:.0f} |")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Test mutants of the modules named, and print who survived and a table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mutation", description="Mutation tests of detection.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as reference/stratification; default: all")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N mutants of a module, drawn at random")
    parser.add_argument("--survivors", action="store_true", help="test again the mutants that survived before, too")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.modules if name not in TESTS]
    if unknown:
        parser.error(f"no tests are named for {', '.join(unknown)}; known: {', '.join(TESTS)}")
    os.environ |= {"CI": "true", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # CI: Hypothesis by a fixed seed
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in PRELOADED:
        importlib.import_module(name)
    scores = []
    with tempfile.TemporaryDirectory(prefix="tree.", dir=BUILD) as tree:
        copy_tree(Path(tree))
        os.chdir(tree)
        sys.path.insert(0, tree)
        for module in options.modules or TESTS:
            scores.append(examine(module, options.limit, options.survivors))
            print(table(scores[-1:]).splitlines()[-1], flush=True)
        os.chdir(ROOT)
    print(f"\n{table(scores)}")


if __name__ == "__main__":
    main()
