"""The rules room: the very documents that are deployed to AWS IoT, and an evaluator that runs them here.

- `documents/`: one JSON file a rule, in the shape of AWS IoT's CreateTopicRule.
- `sql/`: AWS IoT SQL: lexer, parser, typed tree, printer, pure evaluator, every documented function.
- `rules.py`: many rules, one message in, the deliveries out; pure and synchronous.
- `runner.py`, `targets.py`: really deliver, with AWS's semantics.
- `check.py`, `fleet.py`: lint; rates and cost for a fleet. `deploy.py`, `account.py`: the plan, and applying it.
- `cases.py`, `cli.py`: golden cases; `milepost rules …`. docs/rules.md tells it all.
"""
