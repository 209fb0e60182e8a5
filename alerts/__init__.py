"""Alerts: rules over history, samples, metrics and silence; who is told, once."""
