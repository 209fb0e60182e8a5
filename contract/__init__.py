"""What crosses the wire: event models, topics, codec, earlier producers. Imports no other room."""
