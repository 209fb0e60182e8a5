"""What crosses the wire: event models, topics, codec, earlier producers. Imports no other room."""

import os

VERSION = "0.1.0"
"""Milepost's, which pyproject.toml reads here: a truck says it without importlib.metadata, 4 MB of e-mail and zip."""

# pydantic looks for plug-ins through every distribution that is installed, which takes longer than all our imports.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
