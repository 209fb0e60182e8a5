"""The store on one machine: a SQLite file in WAL mode."""
