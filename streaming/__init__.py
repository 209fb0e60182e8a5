"""Spark Structured Streaming jobs over Kafka, written to PostgreSQL."""
