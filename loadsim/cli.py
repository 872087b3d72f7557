"""The command line: what each command takes, and nothing of what it does.

Imports that cost time stand in the commands that need them.
"""

from __future__ import annotations

import enum
import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

import loadsim
from loadsim.errors import LoadsimError, UsageError

if TYPE_CHECKING:
    from loadsim.scenario.scenario import Scenario

_NEW_OBJECTS = 50_000
"""New objects that let the garbage be collected. What importing makes stays: looking through it every 700 objects
took a sixth of the time until a run begins."""

app = typer.Typer(
    name="loadsim",
    help="Simulate thousands of EV charge points against a CSMS over OCPP-J, and report honest numbers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class ConsoleMode(enum.StrEnum):
    """How a run shows its progress."""

    AUTO = "auto"
    LIVE = "live"
    PLAIN = "plain"
    OFF = "off"


class SubprotocolMode(enum.StrEnum):
    """What the embedded CSMS asks for at the handshake."""

    OCPP16 = "ocpp1.6"
    OPTIONAL = "optional"
    NONE = "none"


ScenarioFile = Annotated[
    Path,
    typer.Argument(metavar="SCENARIO", help="A YAML file, or the name of a shipped scenario.", show_default=False),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one value of the scenario, as in stages.peak.for=5m; can be given often.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, max=256, envvar="LOADSIM_WORKERS", help="Worker processes; by default what the run asks for."
    ),
]


@app.callback(invoke_without_command=True)
def _global(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"loadsim {loadsim.__version__}")
        raise typer.Exit
    del context


@app.command()
def run(
    scenario: ScenarioFile,
    overrides: Overrides = None,
    workers: Workers = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, envvar="LOADSIM_SEED", help="Overrides the scenario's seed.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(envvar="LOADSIM_RESULTS", help="Where the run folder goes, in place of outputs.dir."),
    ] = None,
    graceful_stop: Annotated[
        str, typer.Option(envvar="LOADSIM_GRACEFUL_STOP", help="How long open calls are awaited at the end.")
    ] = "30s",
    console: Annotated[
        ConsoleMode, typer.Option(envvar="LOADSIM_CONSOLE", help="How progress is shown, on stderr.")
    ] = ConsoleMode.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json on stdout, not the report.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show neither progress nor report.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, check this machine, and send nothing.")
    ] = False,
) -> None:
    """Run a scenario and report what the CSMS did."""
    from loadsim import run_command  # noqa: PLC0415

    code = run_command.run(
        scenario,
        workers=workers,
        seed=seed,
        results=results,
        graceful_stop=_duration("--graceful-stop", graceful_stop),
        console="off" if quiet else console.value,
        as_json=as_json,
        quiet=quiet,
        overrides=overrides or (),
        dry_run=dry_run,
    )
    raise typer.Exit(code)


@app.command()
def plan(
    scenario: ScenarioFile,
    overrides: Overrides = None,
    workers: Workers = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Show what a run would be and need: curves, connects and messages a second, sockets, memory; send nothing."""
    from loadsim import plan_command  # noqa: PLC0415
    from loadsim.scenario.resolve import resolve  # noqa: PLC0415

    plan_command.show(resolve(_read(scenario, overrides), seed=0), workers=workers, as_json=as_json)


@app.command()
def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder of a run, or one with results: then the latest run in it."),
    ] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json on stdout, not the report.")] = False,
) -> None:
    """Show the report of a run again; one that was killed gets its summary now."""
    from loadsim import report_command  # noqa: PLC0415

    report_command.report(folder, as_json=as_json)


@app.command()
def validate(
    scenarios: Annotated[
        list[Path],
        typer.Argument(metavar="SCENARIO...", help="YAML files, or names of shipped scenarios.", show_default=False),
    ],
    overrides: Overrides = None,
) -> None:
    """Check scenarios; all mistakes are reported at once, each with its place."""
    from loadsim.scenario.resolve import resolve  # noqa: PLC0415
    from loadsim.units import format_count, format_duration  # noqa: PLC0415

    wrong: list[str] = []
    for path in scenarios:
        try:
            plan = resolve(_read(path, overrides), seed=0)
        except LoadsimError as error:
            wrong.append(str(error))
        else:
            size = f"{format_count(plan.charge_points)} charge points, {format_duration(plan.duration)}"
            typer.echo(f"{path}: ok: {plan.name}: {size}")
    if wrong:
        raise UsageError("\n".join(wrong))


@app.command()
def new(
    template: Annotated[
        str | None, typer.Argument(metavar="TEMPLATE", help="Without one they are listed.", show_default=False)
    ] = None,
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Where to write it, - for stdout; by default TEMPLATE.yaml here."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
) -> None:
    """Write a commented scenario to start from: smoke, ramp, soak, storm or firmware-rollout."""
    from loadsim import new_command  # noqa: PLC0415

    if template is None:
        new_command.show_templates()
    else:
        new_command.new(template, file, force=force)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Show this machine's limits, what each allows, and what to type to raise it."""
    from loadsim import doctor_command  # noqa: PLC0415

    raise typer.Exit(doctor_command.doctor(as_json=as_json))


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenarios, for editors."""
    from loadsim.scenario.json_schema import json_schema  # noqa: PLC0415

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command()
def ids(scenario: ScenarioFile, overrides: Overrides = None) -> None:
    """Print the identities and id tags that a scenario uses, as CSV, to provision a CSMS with."""
    from loadsim.scenario.identities import write_ids  # noqa: PLC0415
    from loadsim.scenario.resolve import resolve  # noqa: PLC0415

    write_ids(resolve(_read(scenario, overrides), seed=0), sys.stdout)


@app.command()
def csms(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.")] = 9000,
    subprotocol: Annotated[
        SubprotocolMode, typer.Option(help="ocpp1.6 is required, or optional, or none is agreed to.")
    ] = SubprotocolMode.OCPP16,
    password: Annotated[
        str | None,
        typer.Option(envvar="LOADSIM_CSMS_PASSWORD", help="Ask every charge point for basic auth.", show_envvar=True),
    ] = None,
    interval: Annotated[str, typer.Option(help="The heartbeat interval it sets.")] = "5m",
    boot_status: Annotated[
        str, typer.Option(help="Answers to a charge point's first, second, ... boot: Pending,Accepted")
    ] = "Accepted",
    tags: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns tag,status and perhaps parent,expiry; other tags are Invalid."
            " Without it all are Accepted."
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(min=1, help="That hold the connections, on one port, where the descriptors of one are too few."),
    ] = 1,
    concurrent_tx: Annotated[
        bool, typer.Option("--concurrent-tx", help="Refuse a second transaction of a tag while the first is open.")
    ] = False,
    latency: Annotated[str, typer.Option(help="Before every answer: 20ms, or 5ms..40ms (uniform).")] = "0s",
    reject: Annotated[str, typer.Option(help="Share of good id tags answered Blocked all the same: 2%")] = "0%",
    db: Annotated[
        Path | None,
        typer.Option(help="A file (SQLite) in which registrations and transactions survive a restart."),
    ] = None,
    calls: Annotated[
        Path | None, typer.Option(help="YAML with a plan of calls to charge points: remote starts, resets, ...")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="HTTP endpoint that sends one call to one charge point; port 0 is any."
        ),
    ] = None,
    control_token: Annotated[
        str | None,
        typer.Option(
            envvar="LOADSIM_CONTROL_TOKEN",
            show_envvar=True,
            help="Bearer token that the endpoint asks for; needed where it is not on loopback.",
        ),
    ] = None,
) -> None:
    """Run the embedded CSMS alone, until Ctrl-C."""
    from loadsim import csms_command  # noqa: PLC0415

    csms_command.serve(
        host=host,
        port=port,
        subprotocol=subprotocol.value,
        password=password,
        interval=interval,
        boot_status=boot_status,
        tags=tags,
        processes=processes,
        concurrent_tx=concurrent_tx,
        latency=latency,
        reject=reject,
        db=db,
        calls=calls,
        control=control,
        control_token=control_token,
    )


def _read(path: Path, overrides: list[str] | None) -> Scenario:
    """Read a scenario; its warnings go to stderr."""
    from loadsim.dialects import DIALECTS  # noqa: PLC0415
    from loadsim.scenario.read import read_scenario  # noqa: PLC0415
    from loadsim.scenario.shipped import find_scenario  # noqa: PLC0415
    from loadsim.v16.configuration import initial_problem  # noqa: PLC0415

    actions = DIALECTS["1.6"].actions
    scenario = read_scenario(
        find_scenario(path), os.environ, actions=actions, configuration=initial_problem, overrides=overrides or ()
    )
    for warning in scenario.warnings:
        print(warning, file=sys.stderr)
    return scenario


def _duration(option: str, text: str) -> float:
    from loadsim.units import parse_duration  # noqa: PLC0415

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def main() -> NoReturn:
    """Run the command line; errors become one message on stderr and the exit code of their kind."""
    from loadsim.streams import prepare_streams  # noqa: PLC0415

    gc.set_threshold(_NEW_OBJECTS)
    prepare_streams()
    try:
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()
    except LoadsimError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


if __name__ == "__main__":
    main()
