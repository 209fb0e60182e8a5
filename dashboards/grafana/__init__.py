"""Grafana: dashboards, alert rules and their provisioning, made by `generate`."""
