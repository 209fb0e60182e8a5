"""Items in, receipts out: judged, stored, applied to history and counted, in one durable act (docs/architecture.md).

The same for the box and for Lambda. A record that is wrong goes to dead letters with its reason and stops nothing; a
fault of the store is Retryable, and then nothing of the call has happened.
"""

from collector.ingest.envelope import items_of_stream_record, unpack
from collector.ingest.ingest import Ingest, vouch_for_policy

__all__ = ["Ingest", "items_of_stream_record", "unpack", "vouch_for_policy"]
