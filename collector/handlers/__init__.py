"""The Lambda functions: doors of a few lines onto the same ingest as the box (docs/architecture.md, "On AWS").

- `telemetry`, `clicks`: Kinesis batches to the store; what failed is reported by sequence number.
- `beacon`: the HTTP doors, behind a function URL; durable means in the stream.
- `repair`: on a schedule, asks trucks for the samples that are missing.
- `archive`: decodes the streams' records for Firehose, which keeps them in S3.

Clients and stores are built on first use, and kept while the process lives.
"""
