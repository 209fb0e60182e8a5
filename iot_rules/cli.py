"""`milepost rules`: list, check, test and eval rule documents and statements, offline.

Exit codes: 0 done, 1 a case failed or there is a finding, 2 usage, configuration or a statement that is not valid.
With --json one JSON document goes to stdout and nothing else; errors go to stderr.
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from contract.codec import dump
from contract.errors import Misconfigured
from iot_rules.cases import check_case, read_cases, run_on_topic, shown_output
from iot_rules.check import Finding, check_document
from iot_rules.errors import SqlError
from iot_rules.rules import Rule, load_documents
from iot_rules.sql import LATEST, Arrival, Failed, Message, Surroundings, compile_statement, parse_json
from iot_rules.sql.values import UNDEFINED

app = typer.Typer(name="rules", help="AWS IoT rules, run and checked offline.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Documents = Annotated[
    Path | None, typer.Option("--documents", help="A folder of rule documents [default: Milepost's own].")
]


def _fail(message: str) -> NoReturn:
    sys.stderr.write(message + "\n")
    raise typer.Exit(2)


def _print(value: Any) -> None:
    sys.stdout.buffer.write(dump(value).encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


@app.command("list")
def list_rules(documents: Documents = None, json_output: Json = False) -> None:
    """The rules: name, filter, actions."""
    try:
        rules = load_documents(documents)
    except Misconfigured as error:
        _fail(str(error))
    if json_output:
        _print([_row(rule) for rule in rules])
        return
    for rule in rules:
        row = _row(rule)
        state = "disabled" if rule.disabled else ", ".join(row["actions"])
        typer.echo(f"{rule.name:<28} {row['topic_filter'] or '(Basic Ingest)':<28} {state}")


def _row(rule: Rule) -> dict[str, Any]:
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
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="Rule documents [default: Milepost's own].")] = None,
    json_output: Json = False,
) -> None:
    """Lint rule documents against what breaks in production; exit 1 if there is a finding."""
    findings = [finding for name, document in _documents(files or []) for finding in check_document(document, name)]
    if json_output:
        _print([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            typer.echo(_finding_text(finding))
        typer.echo(f"{len(findings)} findings")
    raise typer.Exit(1 if findings else 0)


def _documents(files: list[Path]) -> list[tuple[str, Any]]:
    if not files:
        try:
            return [(rule.name, rule.document) for rule in load_documents()]
        except Misconfigured as error:
            _fail(str(error))
    found = []
    for path in files:
        for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
            document = parse_json(_read(file))
            if document is UNDEFINED:
                _fail(f"{file}: not a JSON document: mend it")
            found.append((file.name, document))
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{file}: cannot be read: {error}")


def _finding_text(finding: Finding) -> str:
    return f"{finding.rule}: {finding.code}: {finding.message}\n    {finding.remedy}"


@app.command("test")
def run_cases(
    cases: Annotated[list[Path], typer.Argument(help="JSON Lines of cases; - for stdin.")],
    json_output: Json = False,
) -> None:
    """Hold statements and templates against expected outputs; exit 1 if any case fails."""
    verdicts = []
    try:
        for path in cases:
            text = sys.stdin.read() if str(path) == "-" else _read(path)
            verdicts += [check_case(case, line) for line, case in read_cases(text, str(path))]
    except Misconfigured as error:
        _fail(str(error))
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
def eval_statement(  # noqa: PLR0913  (each is an option of the command)
    sql: Annotated[str, typer.Option("--sql", help="The statement.")],
    topic: Annotated[str, typer.Option("--topic", help="The topic as published.")],
    payload: Annotated[str, typer.Option("--payload", help="The payload's exact text; - for stdin.")] = "{}",
    sql_version: Annotated[
        str, typer.Option("--sql-version", "--aws-iot-sql-version", help="2016-03-23, 2015-10-08 or beta.")
    ] = LATEST,
    clientid: Annotated[str | None, typer.Option(help="The MQTT client id.")] = None,
    timestamp: Annotated[int | None, typer.Option(help="ms since 1970 [default: now].")] = None,
    accountid: Annotated[str, typer.Option(help="The account's id.")] = "123456789012",
    principal: Annotated[str | None, typer.Option(help="Certificate thumbprint or user.")] = None,
    traceid: Annotated[str | None, typer.Option(help="The message's trace id.")] = None,
    rule_name: Annotated[str | None, typer.Option(help="The rule's name, for Basic Ingest topics.")] = None,
    json_output: Json = False,
) -> None:
    """What a statement makes of one message, as JSON.

    {"$no_match": true} if there is no output, {"$undefined": true}, or {"$base64": …} for bytes that are not JSON.
    """
    data = sys.stdin.buffer.read() if payload == "-" else payload.encode("utf-8", "surrogateescape")
    try:
        statement = compile_statement(sql, sql_version)
    except SqlError as error:
        if json_output:
            _print({"error": error.reason, "position": error.position})
        _fail(error.caret())
    message = Message(
        topic=topic,
        payload=data,
        client_id=clientid,
        timestamp_ms=timestamp if timestamp is not None else time.time_ns() // 1_000_000,
        principal=principal,
        trace_id=traceid,
    )
    output = run_on_topic(statement, Arrival(message, Surroundings(account_id=accountid)), rule_name)
    if isinstance(output, Failed):
        _fail(output.reason)
    _print(shown_output(output))
