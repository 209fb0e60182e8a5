"""Provisioned tables: what the parameter `Capacity` asks for, and the scaling that follows what a fleet uses.

A steady fleet pays less than half of what on demand costs: a unit that is provisioned for an hour and used to 70 %
costs two fifths of as many single units. What goes beyond is throttled until more is provisioned, some minutes later;
the functions try again meanwhile, and gap repair asks for what they gave up.
"""

from typing import Any

from iot_rules.prices import USED

Resources = dict[str, dict[str, Any]]
_VERBS = ("Write", "Read")


def billing() -> dict[str, Any]:
    """The properties of a table by which it is charged."""
    least = {f"{verb}CapacityUnits": {"Ref": "LeastCapacity"} for verb in _VERBS}
    return {
        "BillingMode": {"Fn::If": ["IsProvisioned", "PROVISIONED", "PAY_PER_REQUEST"]},
        "ProvisionedThroughput": {"Fn::If": ["IsProvisioned", least, {"Ref": "AWS::NoValue"}]},
    }


def provisioned_index(index: dict[str, Any]) -> dict[str, Any]:
    """An index of a table, as `billing` has it for the table itself."""
    return {**index, "ProvisionedThroughput": billing()["ProvisionedThroughput"]}


def scaling(tables: Resources) -> Resources:
    """A target and a policy for the writes and the reads of each table and of each index. tables: by logical id."""
    made: Resources = {}
    places = {name: ("table", f"${{{name}}}", f"table/${{{name}}}") for name in tables}
    for name, table in tables.items():
        for index in table["Properties"].get("GlobalSecondaryIndexes", ()):
            called = index["IndexName"]
            places[f"{name}Index"] = ("index", f"${{{name}}}-{called}", f"table/${{{name}}}/index/{called}")
    for name, (kind, policy, place) in places.items():
        for verb in _VERBS:
            dimension = f"dynamodb:{kind}:{verb}CapacityUnits"
            made[f"{name}{verb}s"] = {
                "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                "Condition": "IsProvisioned",
                "Properties": {
                    "ServiceNamespace": "dynamodb",
                    "ResourceId": {"Fn::Sub": place},
                    "ScalableDimension": dimension,
                    "MinCapacity": {"Ref": "LeastCapacity"},
                    "MaxCapacity": {"Ref": "MostCapacity"},
                },
            }
            made[f"{name}{verb}sPolicy"] = {
                "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                "Condition": "IsProvisioned",
                "Properties": {
                    "PolicyName": {"Fn::Sub": f"{policy}-{verb.lower()}s"},
                    "PolicyType": "TargetTrackingScaling",
                    "ScalingTargetId": {"Ref": f"{name}{verb}s"},
                    "TargetTrackingScalingPolicyConfiguration": {
                        "TargetValue": round(100 * USED),
                        "PredefinedMetricSpecification": {"PredefinedMetricType": f"DynamoDB{verb}CapacityUtilization"},
                    },
                },
            }
    return made
