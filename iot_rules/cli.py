"""`milepost rules`: list, check, test, eval and deploy rule documents and statements.

All but deploy work offline. Exit codes: 0 done; 1 a case failed, or check found an error; 2 usage, configuration or a
statement that is not valid; 3 AWS cannot be reached. With --json one JSON document goes to stdout and nothing else;
errors go to stderr.
"""

import dataclasses
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from contract import machine_clock
from contract.cli_options import AsJson as Json
from contract.cli_options import Config
from contract.codec import dump
from contract.errors import Misconfigured, Unreachable
from iot_rules import settings as room
from iot_rules.account import AwsAccount
from iot_rules.cases import check_case, read_cases, run_on_topic, shown_output
from iot_rules.cli_rendering import change_line, operand_line, show_findings, show_rules
from iot_rules.clients import Clients
from iot_rules.deployment_plan import AS_IT_IS, PlannedChange, filled, placeholders, plan
from iot_rules.engine import TopicRule, load_documents, read_rule
from iot_rules.errors import SqlError
from iot_rules.findings import ERROR
from iot_rules.lint import check_documents
from iot_rules.quotas import PublishingFleet, fleet_findings
from iot_rules.sql import LATEST, Failed, MessageContext, PublishedMessage, Surroundings, compile_statement, parse_json
from iot_rules.sql.explanation import explain as explain_statement
from iot_rules.sql.values import UNDEFINED

app = typer.Typer(
    name="rules",
    help="The AWS IoT rules: run and checked offline, and deployed.",
    no_args_is_help=True,
    add_completion=False,
)

Documents = Annotated[
    Path | None, typer.Option("--documents", metavar="FOLDER", help="Rule documents (else Milepost's own)")
]


def _fail(message: str, code: int = 2) -> NoReturn:
    sys.stderr.write(message + "\n")
    raise typer.Exit(code)


def _print(value: Any) -> None:
    sys.stdout.buffer.write(dump(value).encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def _door(command: Callable[..., None]) -> Callable[..., None]:
    """The errors of all commands, as an exit code and one message."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except Misconfigured as error:
            _fail(error.caret() if isinstance(error, SqlError) else str(error))
        except Unreachable as error:
            _fail(str(error), 3)

    return guarded


@app.command("list")
@_door
def list_rules(documents: Documents = None, config: Config = None, json_output: Json = False) -> None:
    """The rules: name, topic filter, actions, and where failures go."""
    room.load(config)
    rows = [_row(rule) for rule in load_documents(documents)]
    if json_output:
        _print(rows)
    else:
        show_rules(rows)


def _row(rule: TopicRule) -> dict[str, Any]:
    return {
        "rule_name": rule.name,
        "topic_filter": rule.statement.topic_filter,
        "sql": rule.sql,
        "aws_iot_sql_version": rule.statement.version,
        "actions": [action.kind for action in rule.actions],
        "error_action": rule.error_action.kind if rule.error_action else None,
        "disabled": rule.disabled,
        "description": rule.description,
    }


@app.command()
@_door
def check(  # noqa: PLR0913  (each is an option of the command)
    files: Annotated[list[Path] | None, typer.Argument(help="Rule documents or folders (else Milepost's own)")] = None,
    *,
    trucks: Annotated[int | None, typer.Option(min=1, help="Also check rates and tell the cost for so many")] = None,
    interval: Annotated[float, typer.Option(min=0.001, help="Seconds between a truck's messages")] = 60,
    message_bytes: Annotated[int, typer.Option(min=1, help="Bytes of one message")] = 1024,
    config: Config = None,
    json_output: Json = False,
) -> None:
    """Lint rule documents against what breaks in production; exit 1 if there is an error."""
    room.load(config)
    documents = _documents(files or [])
    findings = check_documents(documents)
    if trucks is not None:
        findings += fleet_findings(_readable(documents), PublishingFleet(trucks, interval, message_bytes))
    if json_output:
        _print([dataclasses.asdict(finding) for finding in findings])
    else:
        show_findings(Console(), findings, len(documents))
    raise typer.Exit(1 if any(finding.level == ERROR for finding in findings) else 0)


def _readable(documents: list[tuple[str, Any]]) -> list[TopicRule]:
    rules = []
    for _, document in documents:
        try:
            rules.append(read_rule(document))
        except Misconfigured:
            continue  # a finding of its own
    return rules


def _documents(files: list[Path]) -> list[tuple[str, Any]]:
    if not files:
        return [(rule.name, rule.document) for rule in load_documents()]
    found = []
    for path in files:
        for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
            document = parse_json(_read(file))
            if document is UNDEFINED:
                raise Misconfigured(f"{file}: not a JSON document: mend it")
            found.append((file.name, document))
    if not found:
        raise Misconfigured(f"no rule documents (*.json) in {', '.join(map(str, files))}: name a folder that has some")
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{file}: is not UTF-8: save it so") from None


@app.command("test")
@_door
def run_cases(
    cases: Annotated[list[Path], typer.Argument(help="JSON Lines of cases; - for stdin")],
    config: Config = None,
    json_output: Json = False,
) -> None:
    """Hold statements and templates against expected outputs; exit 1 if any case fails."""
    room.load(config)
    verdicts = []
    for path in cases:
        text = sys.stdin.read() if str(path) == "-" else _read(path)
        verdicts += [check_case(case, line) for line, case in read_cases(text, str(path))]
    if not verdicts:
        raise Misconfigured(f"no case in {', '.join(map(str, cases))}: give a JSON object a line")
    failed = [verdict for verdict in verdicts if not verdict.passed]
    passed = len(verdicts) - len(failed)
    if json_output:
        failures = [
            {key: value for key, value in dataclasses.asdict(each).items() if key != "passed"} for each in failed
        ]
        _print({"passed": passed, "failed": len(failed), "failures": failures})
    else:
        for each in failed:
            typer.echo(f"FAILED {each.case_id} (line {each.line}): {each.reason}")
            typer.echo(f"  expected {dump(each.expected)}\n  but was  {dump(each.actual)}")
        typer.echo(f"{passed} passed, {len(failed)} failed")
    raise typer.Exit(1 if failed else 0)


@app.command("eval")
@_door
def eval_statement(  # noqa: PLR0913  (each is an option of the command)
    sql: Annotated[str, typer.Option("--sql", help="The statement")],
    topic: Annotated[str, typer.Option("--topic", help="The topic as published")],
    payload: Annotated[str, typer.Option("--payload", help="The payload's exact text; - for stdin")] = "{}",
    sql_version: Annotated[
        str, typer.Option("--sql-version", "--aws-iot-sql-version", help="2016-03-23, 2015-10-08 or beta")
    ] = LATEST,
    clientid: Annotated[str | None, typer.Option(help="The MQTT client id")] = None,
    timestamp: Annotated[int | None, typer.Option(help="ms since 1970 (else now)")] = None,
    accountid: Annotated[str, typer.Option(help="The account's id")] = "123456789012",
    principal: Annotated[str | None, typer.Option(help="Certificate thumbprint or user")] = None,
    traceid: Annotated[str | None, typer.Option(help="The message's trace id")] = None,
    rule_name: Annotated[str | None, typer.Option(help="The rule's name, for Basic Ingest topics")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also say on stderr which operands are Undefined, and what WHERE came to")
    ] = False,
    config: Config = None,
    json_output: Json = False,
) -> None:
    """What a statement makes of one message, as JSON.

    {"$no_match": true} if there is no output, {"$undefined": true}, or {"$base64": …} for bytes that are not JSON.
    """
    room.load(config)
    data = sys.stdin.buffer.read() if payload == "-" else payload.encode("utf-8", "surrogateescape")
    try:
        statement = compile_statement(sql, sql_version)
    except SqlError as error:
        if json_output:
            _print({"error": error.reason, "position": error.position})
        raise
    message = PublishedMessage(
        topic=topic,
        payload=data,
        client_id=clientid,
        timestamp_ms=timestamp if timestamp is not None else machine_clock.now_ms(),
        principal=principal,
        trace_id=traceid,
    )
    arrival = MessageContext(message, Surroundings(account_id=accountid))
    if explain:
        for operand in explain_statement(statement, arrival):
            sys.stderr.write(operand_line(operand) + "\n")
    output = run_on_topic(statement, arrival, rule_name)
    if isinstance(output, Failed):
        _fail(output.reason)
    _print(shown_output(output))


@app.command()
@_door
def deploy(  # noqa: PLR0913  (each is an option of the command)
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, change nothing")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="With --dry-run: exit 2 if the account differs from the documents")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete rules that no document names without asking")] = False,
    role_arn: Annotated[
        str, typer.Option(help="The role that AWS IoT assumes (else the setting iot_rules.role_arn)")
    ] = "",
    errors_bucket: Annotated[
        str, typer.Option(help="Where error actions put what failed (else iot_rules.errors_bucket)")
    ] = "",
    stack: Annotated[
        str, typer.Option(help="The deployment that the rules belong to, a tag (else iot_rules.stack)")
    ] = "",
    region: Annotated[str, typer.Option(help="The AWS region (else iot_rules.region, else AWS's own)")] = "",
    endpoint_url: Annotated[str, typer.Option(help="An emulator in AWS's place", metavar="URL")] = "",
    documents: Documents = None,
    config: Config = None,
    json_output: Json = False,
) -> None:
    """Make the account's rules those of the documents: create, replace, enable, disable, delete.

    Only rules named milepost_… are touched. One that no document names any more is deleted last, after a question or
    with --yes, and only if its tag says that this deployment has made it. Again: nothing changes.
    """
    given = {"role_arn": role_arn, "errors_bucket": errors_bucket, "region": region, "endpoint_url": endpoint_url}
    given["stack"] = stack
    settings = room.load(config).model_copy(update={key: value for key, value in given.items() if value})
    rules = load_documents(documents)
    _refuse_errors(rules)
    wanted = filled([rule.document for rule in rules], placeholders(settings))
    account = AwsAccount(Clients(settings.region, settings.endpoint_url), settings.stack)
    changes = plan(wanted, account.rules(), account.stacks(), settings.stack)
    said = []
    for change in changes:
        applied = not dry_run and (change.action != "delete" or yes or _agreed(change))
        if applied:
            account.apply(change)
        if not json_output:
            typer.echo(change_line(change, dry_run=dry_run, applied=applied))
        said.append(_said(change, applied=applied))
    if json_output:
        _print({"dry_run": dry_run, "changes": said})
    if dry_run and exit_code and any(change.action not in AS_IT_IS for change in changes):
        raise typer.Exit(2)


def _said(change: PlannedChange, *, applied: bool) -> dict[str, Any]:
    values = {key: {"old": old, "new": new} for key, (old, new) in zip(change.differences, change.values, strict=False)}
    return {
        "action": change.action,
        "rule_name": change.rule_name,
        "differences": change.differences,
        "values": values,
        "applied": applied and change.action not in AS_IT_IS,
    }


def _agreed(change: PlannedChange) -> bool:
    """Whether the person at the terminal wants a rule deleted; nobody there, and no answer: no."""
    try:
        return sys.stdin.isatty() and typer.confirm(f"delete {change.rule_name}, which no document names?", err=True)
    except typer.Abort:
        return False


def _refuse_errors(rules: tuple[TopicRule, ...]) -> None:
    found = check_documents([(rule.name, rule.document) for rule in rules])
    errors = [finding for finding in found if finding.level == ERROR]
    if errors:
        show_findings(Console(stderr=True), errors, len(rules))
        raise typer.Exit(1)
