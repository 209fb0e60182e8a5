"""The agent as a service: what is built from the settings, run, supervised and configured from afar."""
