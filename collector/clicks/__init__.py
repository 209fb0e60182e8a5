"""Clicks: how events become counts. Pure."""
