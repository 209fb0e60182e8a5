"""deploy/orders.yaml by ministack's CloudFormation, whole but for what that does not know; then an order through it.

Not known there: RDS' proxy and its target group (the database stands in their place), and the attribute of a database
that names its user's secret. The database that ministack makes is none; a PostgreSQL of ours is put in its place. It
makes the HTTP API and leaves out its one route, which is added.
"""

import json
import uuid
from functools import partial
from pathlib import Path

from deploy import orders_function
from tests import ministack, postgresql
from tests.commerce.examples import order
from tests.deploy.optional_stack import Api, deploy_optional

TEMPLATE = Path(orders_function.__file__).with_name("orders.yaml")
KEY = "a-key-of-the-shop-0003"


def _known_to_ministack() -> str:
    text = TEMPLATE.read_text()
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


def test_the_template_is_deployed_and_takes_an_order() -> None:
    url, prefix = ministack.shared(), f"orders-{uuid.uuid4().hex[:8]}"
    with postgresql.cluster() as server:
        outputs = deploy_optional(
            partial(ministack.client, url), prefix, _known_to_ministack(), {**_network(url), "Prefix": prefix}
        )
        database = postgresql.database(server, prefix.replace("-", "_"))
        _put_postgresql_in_place(url, prefix, database, outputs["KeysSecret"])
        api = Api(url, partial(ministack.client, url), outputs["OrdersUrl"], f"{prefix}-orders")
        key = f"Bearer {KEY}"
        taken = api("POST", "/v1/orders", order("A-1"), authorization=key)
        assert (taken.status_code, taken.json()["status"]) == (201, "accepted")
        found = api("GET", "/v1/orders/A-1", authorization=key).json()
        assert (found["order_id"], found["state"]) == ("A-1", "placed")
