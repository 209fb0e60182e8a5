"""The lake (Iceberg tables by day) and the models that define every number once, on every engine."""
