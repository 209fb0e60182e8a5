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


def scaling(tables: list[str]) -> Resources:
    """A target and a policy for the writes and the reads of each table. tables: logical ids."""
    made: Resources = {}
    for table in tables:
        for verb in _VERBS:
            dimension = f"dynamodb:table:{verb}CapacityUnits"
            made[f"{table}{verb}s"] = {
                "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                "Condition": "IsProvisioned",
                "Properties": {
                    "ServiceNamespace": "dynamodb",
                    "ResourceId": {"Fn::Sub": f"table/${{{table}}}"},
                    "ScalableDimension": dimension,
                    "MinCapacity": {"Ref": "LeastCapacity"},
                    "MaxCapacity": {"Ref": "MostCapacity"},
                },
            }
            made[f"{table}{verb}sPolicy"] = {
                "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                "Condition": "IsProvisioned",
                "Properties": {
                    "PolicyName": {"Fn::Sub": f"${{{table}}}-{verb.lower()}s"},
                    "PolicyType": "TargetTrackingScaling",
                    "ScalingTargetId": {"Ref": f"{table}{verb}s"},
                    "TargetTrackingScalingPolicyConfiguration": {
                        "TargetValue": round(100 * USED),
                        "PredefinedMetricSpecification": {"PredefinedMetricType": f"DynamoDB{verb}CapacityUtilization"},
                    },
                },
            }
    return made
