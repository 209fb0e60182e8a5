"""What crosses the wire: event models, topics, codec, earlier producers. Imports no other room."""

import os

# pydantic looks for plug-ins through every distribution that is installed, which takes longer than all our imports.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
