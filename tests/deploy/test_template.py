"""The template, as the tools of AWS see it, and what it promises: one source, one role a function, nothing to spare."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.render import render
from iot_rules.engine import load_documents
from iot_rules.prices import prices
from tests.cfn_lint import assert_clean
from tests.local_aws import sam_cli


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return render()


@pytest.fixture(scope="module")
def file(template: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    (folder / "handlers").mkdir()
    (folder / "template.json").write_text(json.dumps(template), encoding="utf-8")
    return folder / "template.json"


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in template["Resources"].items() if each["Type"] == kind}


def test_cfn_lint_finds_nothing(file: Path) -> None:
    """Errors, warnings and infos."""
    assert_clean(file)


def test_sam_validates_it(file: Path) -> None:
    """SAM's own schema; offline, and without its telemetry."""
    done = subprocess.run(
        [sam_cli(), "validate", "--lint", "--region", "us-east-1", "--template", str(file)],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def transformed(template: dict[str, Any]) -> dict[str, Any]:
    """What CloudFormation's transform makes of it, offline."""
    translator = pytest.importorskip("samtranslator.translator.transform", reason="pip install 'milepost[dev]'")
    given = json.loads(json.dumps(template))
    given["Globals"]["Function"]["CodeUri"] = "s3://bucket/handlers.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        made: dict[str, Any] = translator.transform(given, {}, None)
    return made


def test_it_transforms_offline(transformed: dict[str, Any]) -> None:
    """Nothing of SAM is left, both streams are read, and the public address is open by both permissions."""
    kinds = [each["Type"] for each in transformed["Resources"].values()]
    assert not [kind for kind in kinds if kind.startswith("AWS::Serverless")]
    assert kinds.count("AWS::Lambda::EventSourceMapping") == 2
    granted = {each["Action"] for each in of_type(transformed, "AWS::Lambda::Permission").values()}
    assert {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"} <= granted


def test_the_rules_are_the_documents(template: dict[str, Any]) -> None:
    """Every document, word for word, with the account's own values for its placeholders."""
    made = of_type(template, "AWS::IoT::TopicRule").values()
    rules = {
        each["RuleName"]["Fn::Sub"].replace("${RulePrefix}", "milepost"): each["TopicRulePayload"] for each in made
    }
    assert set(rules) == {rule.name for rule in load_documents()}
    for rule in load_documents():
        said = rule.document["topicRulePayload"]
        assert rules[rule.name]["Sql"] == said["sql"]
        (action,) = rules[rule.name]["Actions"]
        if rule.name == "milepost_time":
            assert action["Republish"]["Topic"] == said["actions"][0]["republish"]["topic"]
            assert action["Republish"]["Qos"] == 0
        else:
            assert action["Kinesis"]["StreamName"] == {"Ref": "TelemetryStream"}
            assert said["actions"][0]["kinesis"]["streamName"] == "milepost-telemetry"
        assert rules[rule.name]["ErrorAction"]["S3"]["Key"] == said["errorAction"]["s3"]["key"]
    assert "<MILEPOST" not in json.dumps(template)


def test_two_stacks_with_other_prefixes_share_no_name(template: dict[str, Any]) -> None:
    """A name that is written out makes the second stack of an account fail."""
    names = [
        (logical, said)
        for logical, resource in template["Resources"].items()
        for key, said in resource.get("Properties", {}).items()
        if key in ("Name", "BucketName", "TableName", "FunctionName", "RuleName", "TopicName", "DeliveryStreamName",
                   "DashboardName", "LogGroupName")
    ]  # fmt: skip
    assert len(names) > 15
    for logical, said in names:
        if isinstance(said, dict) and "Ref" in said:  # another resource's name
            continue
        assert "Prefix}" in str(said.get("Fn::Sub") if isinstance(said, dict) else said), logical


ANY_RESOURCE = {
    "xray:PutTraceSegments": "X-Ray knows no resources",
    "xray:PutTelemetryRecords": "X-Ray knows no resources",
    "kinesis:ListStreams": "it lists: Kinesis lets it be allowed for all or none, and Lambda's poller needs it",
}
"""What may be allowed on every resource, and why."""
WITHIN = (
    "/aws/lambda/*",
    "/archive/*",
    "/rule-errors/*",
    ":topic/fleet/*/resend",
    ":topic/fleet/*/time",
    ":log-group:AWSIotLogsV2:*",
)
"""What a resource with a wildcard ends with: a part of one bucket, trucks' resend topics, IoT's own log."""


def test_each_function_has_a_role_of_its_own_that_allows_little(
    template: dict[str, Any], transformed: dict[str, Any]
) -> None:
    """No action by wildcard, no managed policy, and no wide resource without a reason; also in what SAM adds."""
    functions = of_type(template, "AWS::Serverless::Function")
    assert len({json.dumps(each["Role"]) for each in functions.values()}) == len(functions) == 6
    for name, role in of_type(transformed, "AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in role, name
        for statement in role["Policies"][0]["PolicyDocument"]["Statement"]:
            if "Fn::If" in statement:  # your own key
                [_, statement, _] = statement["Fn::If"]
                assert statement["Resource"] == {"Ref": "KeyArn"}
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not [action for action in actions if "*" in action], name
            if statement["Resource"] == "*":
                assert set(actions) <= ANY_RESOURCE.keys(), name
                continue
            wide = [text for text in texts(statement["Resource"]) if "*" in text]
            assert not [text for text in wide if not text.endswith(WITHIN)], name
    assert not of_type(transformed, "AWS::IAM::Policy")


def texts(value: Any) -> Iterator[str]:
    """Every string in JSON values."""
    if isinstance(value, str):
        yield value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(below)


def test_snowflake_reads_the_archive_and_nothing_else_where_it_is_named(template: dict[str, Any]) -> None:
    """By the identity and the external id that its storage integration shows; told of new files by the bucket."""
    role = of_type(template, "AWS::IAM::Role")["SnowflakeReader"]
    assert template["Resources"]["SnowflakeReader"]["Condition"] == "ReadBySnowflake"
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": {"Ref": "SnowflakeRoleArn"}}
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": "SnowflakeExternalId"}}}
    allowed = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert allowed[0]["Resource"] == {"Fn::Sub": "${Bucket.Arn}/archive/*"}
    assert {
        action
        for each in allowed[:3]
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    } == {"s3:GetObject", "s3:GetObjectVersion", "s3:GetBucketLocation", "s3:ListBucket"}
    for stream in of_type(template, "AWS::KinesisFirehose::DeliveryStream").values():
        hints = stream["ExtendedS3DestinationConfiguration"]["BufferingHints"]
        assert hints["IntervalInSeconds"] == {"Ref": "ArchiveBufferSeconds"}


def test_only_this_accounts_rules_may_use_the_rules_role(template: dict[str, Any]) -> None:
    """As AWS IoT's guide has it, against confused deputies."""
    trust = of_type(template, "AWS::IAM::Role")["RulesRole"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert trust["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"].endswith(":rule/${RulePrefix}_*")


def test_iots_log_is_the_accounts_own_unless_asked_for(template: dict[str, Any]) -> None:
    """It is one setting for the whole account, which a stack must not take by itself."""
    assert template["Parameters"]["IotLogLevel"]["Default"] == "DISABLED"
    for name in ("IotLogging", "IotLogRole"):
        assert template["Resources"][name]["Condition"] == "LogsIot"


def test_the_streams_are_read_with_care(template: dict[str, Any]) -> None:
    """Bisected, bounded in tries and age well inside the retention; what is given up is kept whole."""
    retention = {each["RetentionPeriodHours"] for each in of_type(template, "AWS::Kinesis::Stream").values()}
    assert retention == {168}
    functions = of_type(template, "AWS::Serverless::Function")
    for name in ("TelemetryFunction", "ClicksFunction"):
        reading = functions[name]["Events"]["Stream"]["Properties"]
        assert reading["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert reading["BisectBatchOnFunctionError"] is True
        assert 0 < reading["MaximumRetryAttempts"] < 10_000
        assert 0 < reading["MaximumRecordAgeInSeconds"] < 168 * 3600 / 2
        assert reading["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["Bucket", "Arn"]}
    # One after the other, a batch of 2,000 trucks' messages would take longer than they take to come.
    assert functions["TelemetryFunction"]["Events"]["Stream"]["Properties"]["ParallelizationFactor"] == 10


def test_the_archive_is_decoded_compressed_and_by_date(template: dict[str, Any]) -> None:
    """Both streams."""
    archives = of_type(template, "AWS::KinesisFirehose::DeliveryStream")
    assert len(archives) == 2
    for each in archives.values():
        target = each["ExtendedS3DestinationConfiguration"]
        assert target["CompressionFormat"] == "GZIP"
        assert re.search(r"archive/\w+/date=!\{timestamp:yyyy-MM-dd\}/", target["Prefix"])
        assert target["ProcessingConfiguration"]["Enabled"] is True


def test_a_door_is_throttled_and_logged_or_is_a_function_url_as_the_parameter_says(template: dict[str, Any]) -> None:
    """Each of the two is whole by itself, and neither is there beside the other."""
    conditions = {name: each.get("Condition") for name, each in template["Resources"].items()}
    assert {name for name, said in conditions.items() if said == "HasUrl"} == {
        "BeaconFunctionUrl", "BeaconUrlPermission", "BeaconUrlInvokePermission",
    }  # fmt: skip
    routes = {each["RouteKey"] for each in of_type(template, "AWS::ApiGatewayV2::Route").values()}
    assert routes == {"POST /v1/clicks", "POST /v1/telemetry", "$default"}
    [stage] = of_type(template, "AWS::ApiGatewayV2::Stage").values()
    limits = {"ThrottlingRateLimit": {"Ref": "HttpRate"}, "ThrottlingBurstLimit": {"Ref": "HttpBurst"}}
    assert [*stage["RouteSettings"].values(), stage["DefaultRouteSettings"]] == [limits] * 3
    json.loads(stage["AccessLogSettings"]["Format"])
    api = {name for name, each in template["Resources"].items() if "ApiGatewayV2" in each["Type"]}
    assert {conditions[name] for name in (*api, "BeaconApiLog", "BeaconApiPermission")} == {"HasApi"}


def test_keys_lie_in_secrets_manager_and_in_no_functions_environment(template: dict[str, Any]) -> None:
    for function in of_type(template, "AWS::Serverless::Function").values():
        assert "TelemetryKeys" not in json.dumps(function)
    [secret] = of_type(template, "AWS::SecretsManager::Secret").values()
    assert secret["GenerateSecretString"]["GenerateStringKey"] == "identity_secret"


def test_whoever_is_alarmed_is_told_what_to_do(template: dict[str, Any]) -> None:
    """An alarm for every function, rule, table and stream; each speaks."""
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    watched = json.dumps([each["Dimensions"] for each in alarms.values()])
    assert {"CanaryLate", "FleetSilent"} <= alarms.keys()
    kinds = ("AWS::Serverless::Function", "AWS::IoT::TopicRule", "AWS::DynamoDB::Table", "AWS::Kinesis::Stream")
    for kind in kinds:
        for name in of_type(template, kind):
            assert f'"Ref": "{name}"' in watched, name
    assert all(len(each["AlarmDescription"]) > 20 and each["AlarmActions"] for each in alarms.values())
    body = of_type(template, "AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(body)["widgets"]
    always = [name for name in alarms if "Condition" not in template["Resources"][name]]
    for name in always:
        assert (
            sum(each["properties"].get("annotations", {}).get("alarms") == [f"${{{name}.Arn}}"] for each in widgets)
            == 1
        )


def test_the_dashboard_says_what_it_cost_so_far(template: dict[str, Any]) -> None:
    """Every function, table and rule is in it, at the list price; each expression names metrics that are there."""
    body = of_type(template, "AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"]
    (cost,) = [each for each in json.loads(body)["widgets"] if each["properties"]["title"].startswith("Cost so far")]
    assert "an estimate" in cost["properties"]["title"]
    metrics = [each for each in cost["properties"]["metrics"] if len(each) > 1]
    sums = [each[0] for each in cost["properties"]["metrics"] if len(each) == 1]
    ids = {each[-1]["id"] for each in metrics}
    assert len(ids) == len(metrics)
    assert {name for each in sums for name in re.findall(r"\bm\d+", each["expression"])} == ids
    for kind in ("AWS::Serverless::Function", "AWS::DynamoDB::Table", "AWS::IoT::TopicRule", "AWS::Kinesis::Stream"):
        for name in of_type(template, kind):
            if "Condition" not in template["Resources"][name]:
                assert f"${{{name}}}" in json.dumps(metrics), name
    written = next(each["expression"] for each in sums if each["label"] == "DynamoDB")
    assert f"* {prices()['dynamodb_write_unit']:.12f}" in written


def test_what_holds_data_outlives_the_stack(template: dict[str, Any]) -> None:
    """Tables, streams and the bucket are retained; but not where the first deployment fails, which is tried again."""
    for name, each in template["Resources"].items():
        if each["Type"] in ("AWS::DynamoDB::Table", "AWS::Kinesis::Stream", "AWS::S3::Bucket"):
            assert (each["DeletionPolicy"], each["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain"), name


def test_every_table_is_scaled_where_its_capacity_is_provisioned(template: dict[str, Any]) -> None:
    """Writes and reads of each, between the two bounds; on demand nothing of it is there."""
    targets = of_type(template, "AWS::ApplicationAutoScaling::ScalableTarget")
    policies = of_type(template, "AWS::ApplicationAutoScaling::ScalingPolicy")
    scaled = sorted((each["ResourceId"]["Fn::Sub"], each["ScalableDimension"]) for each in targets.values())
    verbs = ("ReadCapacityUnits", "WriteCapacityUnits")
    tables = of_type(template, "AWS::DynamoDB::Table")
    expected = [(f"table/${{{name}}}", f"dynamodb:table:{verb}") for name in tables for verb in verbs]
    expected += [
        (f"table/${{{name}}}/index/{index['IndexName']}", f"dynamodb:index:{verb}")
        for name, table in tables.items()
        for index in table.get("GlobalSecondaryIndexes", ())
        for verb in verbs
    ]
    assert scaled == sorted(expected)
    assert {each["ScalingTargetId"]["Ref"] for each in policies.values()} == targets.keys()
    for name in (*targets, *policies):
        assert template["Resources"][name]["Condition"] == "IsProvisioned"
    for table in tables.values():
        assert table["BillingMode"] == {"Fn::If": ["IsProvisioned", "PROVISIONED", "PAY_PER_REQUEST"]}


def test_what_can_be_tagged_says_which_installation_it_belongs_to(template: dict[str, Any]) -> None:
    kinds = {
        each["Type"]
        for each in template["Resources"].values()
        if "Prefix" in json.dumps(each["Properties"].get("Tags"))
    }
    assert {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Serverless::Function", "AWS::Kinesis::Stream"} <= kinds
    for each in template["Resources"].values():
        assert each["Type"] not in kinds or "Tags" in each["Properties"]


def test_what_is_overwritten_or_deleted_in_the_bucket_can_be_had_back_for_a_month(template: dict[str, Any]) -> None:
    [bucket] = of_type(template, "AWS::S3::Bucket").values()
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    [replaced] = [each for each in bucket["LifecycleConfiguration"]["Rules"] if each["Id"] == "replaced"]
    assert replaced["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


def test_your_own_key_encrypts_everything_that_holds_data(template: dict[str, Any]) -> None:
    """And whoever reads or writes it may use the key."""
    holding = ("AWS::DynamoDB::Table", "AWS::Kinesis::Stream", "AWS::S3::Bucket", "AWS::SecretsManager::Secret")
    for name, each in template["Resources"].items():
        if each["Type"] in (*holding, "AWS::SNS::Topic"):
            assert '{"Ref": "KeyArn"}' in json.dumps(each["Properties"]), name
    for name, role in of_type(template, "AWS::IAM::Role").items():
        if name != "IotLogRole":
            uses = '"kms:Decrypt"' if name == "SnowflakeReader" else '"kms:GenerateDataKey"'
            assert uses in json.dumps(role), name


def test_two_stacks_share_no_metric_of_their_own(template: dict[str, Any]) -> None:
    """Each function's service carries the prefix, and the alarms look at it."""
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        service = function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        assert service == {"Fn::Sub": f"${{Prefix}}-{name.removesuffix('Function').lower()}"}
    for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
        if alarm["Namespace"] == "Milepost":
            assert "${Prefix}-" in json.dumps(alarm["Dimensions"])
    body = of_type(template, "AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"]
    assert '"milepost-' not in body


def test_a_canary_does_not_hide_a_silent_fleet(template: dict[str, Any]) -> None:
    """Thirteen of its records may fall into an hour; the one truck of the smallest fleet sends sixty."""
    resources = template["Resources"]
    schedule = resources["CanaryFunction"]["Properties"]["Events"]["Schedule"]["Properties"]["ScheduleExpression"]
    alarm = of_type(template, "AWS::CloudWatch::Alarm")["FleetSilent"]
    assert (schedule, alarm["Period"], alarm["EvaluationPeriods"]) == ("rate(5 minutes)", 3600, 1)
    condition, with_canary, without = alarm["Threshold"]["Fn::If"]
    assert (condition, without, alarm["ComparisonOperator"]) == ("HasCanary", 1, "LessThanThreshold")
    assert 13 < with_canary < 60


def test_the_beacon_s_alarm_looks_at_what_stands_before_it(template: dict[str, Any]) -> None:
    """A function URL's metric is silent behind an HTTP API."""
    alarm = of_type(template, "AWS::CloudWatch::Alarm")["BeaconFailing"]
    assert alarm["Namespace"] == {"Fn::If": ["HasApi", "AWS/ApiGateway", "AWS/Lambda"]}
    assert alarm["MetricName"] == {"Fn::If": ["HasApi", "5xx", "Url5xxCount"]}
