"""The marts that the scheduled build on AWS puts into the bucket: a person leaves them before the next build."""

from collections.abc import Mapping, Sequence
from typing import Any

from collector.streams.s3_objects import S3Objects
from warehouse import forgetting as lake_forgetting

MARTS = "marts/"


class BucketMarts:
    """The Parquet files of a bucket's marts.

    Args:
        bucket: of the stack.
        client: boto3's, of S3; None for one of the environment's region and credentials.
    """

    def __init__(self, bucket: str, client: Any = None) -> None:
        self._objects = S3Objects(f"s3://{bucket}/{MARTS}", client)

    def forget_person(self, pseudonyms: Mapping[str, str]) -> int:
        """Replace identifiers in every mart, and delete what stood there before; how many marts have changed."""
        count = 0
        for key in list(self._objects.names()):
            with self._objects.opened(key) as path:
                if lake_forgetting.replace_identifiers(path, pseudonyms):
                    self._objects.replace(key, path.read_bytes())
                    count += 1
        self._objects.drop_versions()
        return count

    def remove(self) -> int:
        """Delete all marts, old versions too, since places cannot be told apart; the next build puts them anew.

        Returns:
            How many files and old versions there were.
        """
        return self._objects.drop_versions(current=True)

    def occurrences(self, identifiers: Sequence[str]) -> list[dict[str, Any]]:
        """Where identifiers stand: `[{place, identifier, hits}]`, place: the object."""
        found = []
        for key in self._objects.names():
            with self._objects.opened(key) as path:
                place = f"s3://{self._objects.bucket}/{key}"
                found += [{**each, "place": place} for each in lake_forgetting.occurrences([path], identifiers)]
        return found
