"""QuickSight over Athena: a CloudFormation template of its own, made of the panels by `generate`."""
