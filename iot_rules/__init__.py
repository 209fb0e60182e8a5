"""The rules room: the very documents that are deployed to AWS IoT, and an evaluator that runs them here.

- `documents/`: one JSON file a rule, in the shape of AWS IoT's CreateTopicRule.
- `sql/`: AWS IoT SQL: lexer, parser, typed tree, printer, pure evaluator, every documented function.
- `rules.py`: many rules, one message in, the deliveries out; pure and synchronous.
- `check.py`, `cases.py`, `cli.py`: lint, golden cases, `milepost rules …`.
"""
