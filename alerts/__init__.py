"""Alerts: what needs somebody, as a function of the samples.

A rule is data (`shipped_rules.toml`, and `[alerts] rules` names a file of your own). `engine` is pure: the same
samples, in whatever order and however late they came, give the same alerts, each with an id made of rule, subject and
start. A late sample can open, move or take back an alert. What is told of them is
`threads`, and waits in the store's outbox until each receiver has taken it.
"""
