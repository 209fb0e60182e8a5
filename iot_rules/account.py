"""The account's topic rules, over boto3's iot client: read those of Milepost, and apply a plan's changes."""

from typing import Any
from urllib.parse import urlencode

from iot_rules.clients import Clients, account_errors
from iot_rules.deployment_plan import PREFIX, TAG, PlannedChange


class AwsAccount:
    """The rules of one account and region. Methods raise Unreachable or Misconfigured.

    stack: the value of the tag TAG that rules of this deployment have.
    """

    def __init__(self, clients: Clients, stack: str) -> None:
        self._client, self._stack = clients.get("iot"), stack
        self._arns: dict[str, str] = {}

    def rules(self) -> dict[str, dict[str, Any]]:
        """Milepost's rules as they are deployed: name → rule, in the shape of TopicRulePayload and more."""
        rules = {}
        with account_errors():
            pages = self._client.get_paginator("list_topic_rules").paginate()
            for name in [rule["ruleName"] for page in pages for rule in page.get("rules", [])]:
                if name.startswith(PREFIX):
                    found = self._client.get_topic_rule(ruleName=name)
                    rules[name], self._arns[name] = found["rule"], found["ruleArn"]
        return rules

    def stacks(self) -> dict[str, str | None]:
        """Whose each of the rules is that `rules` has found: name → the tag's value, None for one without the tag."""
        with account_errors():
            return {name: self._tags(arn).get(TAG) for name, arn in self._arns.items()}

    def _tags(self, arn: str) -> dict[str, str]:
        pages = self._client.get_paginator("list_tags_for_resource").paginate(resourceArn=arn)
        return {tag["Key"]: tag.get("Value", "") for page in pages for tag in page.get("tags", [])}

    def apply(self, change: PlannedChange) -> None:
        """Make one change; `unchanged` and `foreign` are none."""
        name = change.rule_name
        with account_errors():
            match change.action:
                case "create":
                    tags = urlencode({TAG: self._stack})
                    self._client.create_topic_rule(ruleName=name, topicRulePayload=change.payload, tags=tags)
                case "replace":
                    self._client.replace_topic_rule(ruleName=name, topicRulePayload=change.payload)
                case "adopt":
                    self._client.tag_resource(resourceArn=self._arns[name], tags=[{"Key": TAG, "Value": self._stack}])
                case "enable":
                    self._client.enable_topic_rule(ruleName=name)
                case "disable":
                    self._client.disable_topic_rule(ruleName=name)
                case "delete":
                    self._client.delete_topic_rule(ruleName=name)
