"""The account's topic rules, over boto3's iot client: read those of Milepost, and apply a plan's changes."""

from typing import Any

from iot_rules.clients import Clients, account_errors
from iot_rules.deployment_plan import PREFIX, Change


class Account:
    """The rules of one account and region. Methods raise Unreachable or Misconfigured."""

    def __init__(self, clients: Clients) -> None:
        self._client = clients.get("iot")

    def rules(self) -> dict[str, dict[str, Any]]:
        """Milepost's rules as they are deployed: name → rule, in the shape of TopicRulePayload and more."""
        with account_errors():
            pages = self._client.get_paginator("list_topic_rules").paginate()
            names = [rule["ruleName"] for page in pages for rule in page.get("rules", [])]
            return {
                name: self._client.get_topic_rule(ruleName=name)["rule"] for name in names if name.startswith(PREFIX)
            }

    def apply(self, change: Change) -> None:
        """Make one change; `unchanged` is none."""
        name = change.rule_name
        with account_errors():
            match change.action:
                case "create":
                    self._client.create_topic_rule(ruleName=name, topicRulePayload=change.payload)
                case "replace":
                    self._client.replace_topic_rule(ruleName=name, topicRulePayload=change.payload)
                case "enable":
                    self._client.enable_topic_rule(ruleName=name)
                case "disable":
                    self._client.disable_topic_rule(ruleName=name)
                case "delete":
                    self._client.delete_topic_rule(ruleName=name)
