"""Metrics, exit codes, result files, columns and keys: what the code knows is in the reference, and vice versa."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import loadsim.output.summary as summary_module
from loadsim.csms.record import ServerCounts
from loadsim.errors import LoadsimError, PreflightFailed, ScenarioError, UsageError
from loadsim.metrics.catalogue import METRICS
from loadsim.metrics.judge import MOST_BUSY_SECONDS, MOST_CPU, MOST_LATENESS
from loadsim.metrics.snapshot import Example
from loadsim.metrics.thresholds import AGGREGATES, parse
from loadsim.metrics.transactions import FAULTS
from loadsim.output.csv_connections import CONNECTION_COLUMNS
from loadsim.output.csv_faults import FAULT_COLUMNS
from loadsim.output.csv_windows import COMMAND_COLUMNS, GENERATOR_COLUMNS, SESSION_COLUMNS, WINDOW_COLUMNS
from loadsim.output.summary import build_summary
from loadsim.scenario.model import WRITTEN
from loadsim.scenario.plan import MALFORMED_KINDS, EmbeddedCsms, FaultPlan
from loadsim.v16.central import Central
from loadsim.v16.commands import COMMANDS
from loadsim.v16.configuration import KEYS
from loadsim.v16.connectors import may_become
from loadsim.v16.messages import ACTIONS
from loadsim.v16.messages.types import ChargePointStatus
from tests.docs.documents import REFERENCE, ROOT, code, codes, read, rows, table
from tests.output import builders

MAPS = {
    "actions",
    "actions.*.classes",
    "commands",
    "connections.lost_by_code",
    "connections.refused",
    "embedded_csms",
    "faults",
    "faults.*.malformed",
    "outbox.given_up",
    "reboots",
    "stages",
    "stages.*.actions",
}
"""Where summary.json has names of a run for keys."""


def real_summary() -> Any:
    """Build the summary of a run in which everything happened that a summary can tell of."""
    garbage = FaultPlan(name="garbage", do="malformed", rate=0.01, end=60.0, kinds=MALFORMED_KINDS)
    plan = builders.plan(checks=("all errors == 0",), faults=(garbage,))
    progress = builders.progress(plan)
    builders.take(
        progress,
        builders.calls("Authorize", [0.1, 0.2], tag_class="drivers"),
        builders.calls("Heartbeat", [0.1]),
        at=60.0,
        counters={
            "connections.refused.http_401": 1,
            "connections.lost.1006": 1,
            "commands.Reset.received": 1,
            "outbox.given_up.StartTransaction": 1,
            "reboots.HardReset": 1,
        },
        health=builders.healthy(),
        final=True,
    )
    summary = build_summary(progress, duration=60.0)
    summary["embedded_csms"] = {**ServerCounts().record(), **Central(EmbeddedCsms()).record()}
    return summary


def keys_in(value: Any, path: str = "") -> Iterator[str]:
    """Yield the keys of a summary as the reference writes them; those of calls and times are listed apart."""
    if path == "embedded_csms":
        yield "embedded_csms.*"
    elif isinstance(value, dict) and "response_s" in value:
        yield path
        if "classes" in value:
            yield from keys_in(value["classes"], f"{path}.classes")
    elif (isinstance(value, dict) and "p99" in value) or not isinstance(value, dict | list):
        yield path
    elif isinstance(value, list):
        inner = [key for item in value if isinstance(item, dict) for key in keys_in(item, f"{path}[]")]
        yield from inner or [path]
    elif not value and path not in MAPS:
        yield path
    else:
        for key, item in value.items():
            yield from keys_in(item, ".".join(part for part in (path, "*" if path in MAPS else key) if part))


def test_every_metric_of_the_catalogue_and_no_other_is_in_the_reference() -> None:
    text = read(REFERENCE / "metrics.md").partition("## The catalogue")[2]

    assert [code(row[0]) for row in rows(text)] == [metric.name for metric in METRICS]


def exit_codes() -> set[int]:
    of_errors = {error.exit_code for error in (LoadsimError, UsageError, ScenarioError, PreflightFailed)}
    known = {
        value for name, value in vars(summary_module).items() if name.startswith("EXIT_") and name[5:] != "SIGNALS"
    }
    return of_errors | known | set(summary_module.EXIT_SIGNALS.values())


def test_every_exit_code_and_no_other_is_in_the_reference() -> None:
    assert {int(code(row[0])) for row in rows(read(REFERENCE / "exit-codes.md"))} == exit_codes()


def test_every_exit_code_and_no_other_is_in_the_readme() -> None:
    section = read(ROOT / "README.md").partition("| exit code |")[2].partition("\n\n")[0]

    assert {int(each) for row in rows(section) for each in codes(row[0])} == exit_codes()


def test_every_error_class_has_an_exit_code_that_is_known() -> None:
    found, todo = set(), [LoadsimError]
    while todo:
        error = todo.pop()
        found.add(error.exit_code)
        todo += error.__subclasses__()

    assert found <= exit_codes()


def test_every_key_of_a_summary_and_no_other_is_in_the_reference() -> None:
    assert set(table("results.md", "summary")) == set(keys_in(real_summary()))


def test_every_key_of_calls_and_times_and_no_other_is_in_the_reference() -> None:
    calls = real_summary()["all"]
    flat = {f"errors.{cause}" for cause in calls["errors"]} | set(calls) - {"errors"}

    assert set(table("results.md", "calls")) == flat
    assert table("results.md", "times") == list(calls["response_s"])


def test_every_column_and_no_other_is_in_the_reference() -> None:
    assert table("results.md", "windows") == list(WINDOW_COLUMNS)
    assert table("results.md", "sessions") == list(SESSION_COLUMNS)
    assert table("results.md", "commands") == list(COMMAND_COLUMNS)
    assert table("results.md", "connections") == list(CONNECTION_COLUMNS)
    assert table("results.md", "faults") == list(FAULT_COLUMNS)
    assert table("results.md", "generator") == list(GENERATOR_COLUMNS)
    assert table("results.md", "errors") == list(Example.__struct_fields__)


def test_every_aggregate_of_thresholds_is_in_the_reference_and_the_examples_parse() -> None:
    text = read(REFERENCE / "thresholds.md")
    calls = text.partition("<!-- table: calls -->")[2].partition("\n\n")[0]
    found = {cell for row in rows(calls) for cell in codes(row[0])}

    assert found - {"p1", "p99.99"} == set(AGGREGATES)
    assert table("thresholds.md", "transactions") == list(FAULTS)
    assert all(parse(example) for row in rows(text) for example in codes(row[3]))


def test_the_thresholds_against_a_csms_that_dies_are_such() -> None:
    section = read(REFERENCE / "thresholds.md").partition("## A CSMS that dies")[2].partition("\n## ")[0]
    checks = [parse(each) for each in re.findall(r"^- `(.*?)`:", section, re.MULTILINE)]

    assert {check.aggregate for check in checks} == {"online", "rate", "undelivered", "lost", "errors"}


def test_what_is_answered_to_the_csms_is_in_the_reference() -> None:
    text = read(REFERENCE / "ocpp.md")

    assert [name for name in COMMANDS if f"| {name} |" not in text] == []
    assert [key.name for key in KEYS if f"| {key.name} |" not in text] == []
    assert f"the {len(ACTIONS)} actions" in text


def test_the_table_of_connectors_is_that_of_the_code() -> None:
    section = read(REFERENCE / "ocpp.md").partition("| from | to |")[2].partition("\n\n")[0]
    said = dict(line.strip("| ").split(" | ") for line in section.splitlines()[2:])
    statuses = get_args(ChargePointStatus)

    assert sorted(said) == sorted(statuses)
    for status, following in said.items():
        assert sorted(following.split(", ")) == sorted(each for each in statuses if may_become(1, status, each))


def test_the_limits_of_an_invalid_run_are_those_of_the_code() -> None:
    text = read(ROOT / "docs" / "design" / "0009-verdict.md")

    assert f"more than {MOST_LATENESS * 1000:.0f} ms" in text
    assert f"above {MOST_CPU:.0%}".replace("%", " %") in text
    assert f"for {MOST_BUSY_SECONDS:.0f} s" in text


def test_every_result_file_that_a_scenario_may_name_is_in_the_reference() -> None:
    section = read(REFERENCE / "results.md").partition("| file | what | written |")[2].partition("\n\n")[0]

    assert set(WRITTEN) <= {code(row[0]) for row in rows(section)}
