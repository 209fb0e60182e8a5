"""deploy/orders.yaml by ministack's CloudFormation, whole but for what that does not know; then an order through it.

Not known there: RDS' proxy and its target group (the database stands in their place), and the attribute of a database
that names its user's secret. The database that ministack makes is none; a PostgreSQL of ours is put in its place. It
makes the HTTP API and leaves out its one route, which is added.
"""

import io
import json
import sys
import time
import urllib.request
import uuid
import zipfile
from pathlib import Path
from typing import Any

from deploy import orders_function
from tests import ministack, postgresql
from tests.commerce.examples import order

TEMPLATE = Path(orders_function.__file__).with_name("orders.yaml")
KEY = "a-key-of-the-shop-0003"


def _known_to_ministack(code: str) -> str:
    text = TEMPLATE.read_text().replace("CodeUri: orders/", f"CodeUri: {code}")
    before, _, rest = text.partition("  Proxy:\n    Type: AWS::RDS::DBProxy\n")
    assert "AWS::RDS::DBProxyTargetGroup" in rest
    text = before + rest[rest.index("  # ---- the function and its address") :]
    for unknown, known in (
        ("!GetAtt Proxy.Endpoint", "!GetAtt Database.Endpoint.Address"),
        ("!GetAtt Database.MasterUserSecret.SecretArn", "!Ref Keys"),
    ):
        assert unknown in text
        text = text.replace(unknown, known)
    return text


def _network(url: str) -> dict[str, str]:
    ec2 = ministack.client(url, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")
        for number, zone in enumerate("ab")
    ]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    return {"Vpc": vpc, "Subnets": ",".join(each["Subnet"]["SubnetId"] for each in subnets), "RouteTables": table}


def _deployed(url: str, prefix: str) -> dict[str, str]:
    """The stack's outputs; its bundle finds the code in this environment."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        bundle.writestr("unused.py", "")
    s3, cloudformation = ministack.client(url, "s3"), ministack.client(url, "cloudformation")
    s3.create_bucket(Bucket=prefix)
    s3.put_object(Bucket=prefix, Key="bundle.zip", Body=packed.getvalue())
    runtime = {"Runtime": f"python3.{sys.version_info.minor}", "Architecture": "x86_64", "Prefix": prefix}
    cloudformation.create_stack(
        StackName=prefix,
        TemplateBody=_known_to_ministack(f"s3://{prefix}/bundle.zip"),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in {**_network(url), **runtime}.items()
        ],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    deadline = time.monotonic() + 60
    while True:
        stack = cloudformation.describe_stacks(StackName=prefix)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def _put_postgresql_in_place(url: str, prefix: str, database: str, keys_secret: str) -> None:
    user, _, place = database.removeprefix("postgresql://").partition("@")
    host, _, port = place.partition("/")[0].partition(":")
    secrets = ministack.client(url, "secretsmanager")
    secrets.put_secret_value(SecretId=keys_secret, SecretString=json.dumps({"shop": KEY}))
    said = json.dumps({"username": user, "password": ""})
    own = secrets.create_secret(Name=f"{prefix}-database", SecretString=said)["ARN"]
    functions = ministack.client(url, "lambda")
    made = functions.get_function_configuration(FunctionName=f"{prefix}-orders")["Environment"]["Variables"]
    given = {"DATABASE_HOST": host, "DATABASE_PORT": port, "DATABASE_NAME": place.partition("/")[2].partition("?")[0]}
    variables = {**made, **given, "DATABASE_SECRET": own, "DATABASE_TLS": "disable", "TRUCK_TABLES": ""}
    functions.update_function_configuration(
        FunctionName=f"{prefix}-orders", Environment={"Variables": {k: v for k, v in variables.items() if v}}
    )


def _route(url: str, prefix: str, address: str) -> None:
    api, name = ministack.client(url, "apigatewayv2"), address.removeprefix("http://").partition(".")[0]
    assert api.get_routes(ApiId=name)["Items"] == []
    function = ministack.client(url, "lambda").get_function_configuration(FunctionName=f"{prefix}-orders")
    integration = api.create_integration(
        ApiId=name,
        IntegrationType="AWS_PROXY",
        IntegrationUri=function["FunctionArn"],
        PayloadFormatVersion="2.0",
    )
    api.create_route(ApiId=name, RouteKey="$default", Target=f"integrations/{integration['IntegrationId']}")


def _call(url: str, address: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """The API is found by its host name."""
    host = address.removeprefix("http://").partition(":")[0]
    headers = {"host": host, "authorization": f"Bearer {KEY}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.status, json.loads(response.read())


def test_the_template_is_deployed_and_takes_an_order() -> None:
    url, prefix = ministack.shared(), f"orders-{uuid.uuid4().hex[:8]}"
    with postgresql.cluster() as server:
        outputs = _deployed(url, prefix)
        database = postgresql.database(server, prefix.replace("-", "_"))
        _put_postgresql_in_place(url, prefix, database, outputs["KeysSecret"])
        _route(url, prefix, outputs["OrdersUrl"])
        status, said = _call(url, outputs["OrdersUrl"], "POST", "/v1/orders", order("A-1"))
        assert (status, said["status"]) == (201, "accepted")
        _, found = _call(url, outputs["OrdersUrl"], "GET", "/v1/orders/A-1")
        assert (found["order_id"], found["state"]) == ("A-1", "placed")
