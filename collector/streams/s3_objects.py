"""Objects in S3 as files to read: every one under a prefix, in the order of their keys."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contract.errors import Misconfigured, Unreachable


class S3Objects:
    """The objects under `s3://BUCKET/PREFIX`.

    Args:
        url: that.
        client: boto3's, of S3; None for one of the environment's region and credentials.

    Raises:
        Misconfigured: the URL names no bucket, or boto3 is not installed.
    """

    def __init__(self, url: str, client: Any = None) -> None:
        self.bucket, _, self.prefix = url.removeprefix("s3://").partition("/")
        if not self.bucket:
            raise Misconfigured(f"{url!r}: give s3://BUCKET/PREFIX")
        self._client = client or _connect()

    def names(self, after: str = "") -> Iterator[str]:
        """The keys after one; without those of zero bytes, which are a console's folders.

        Args:
            after: a key, "" for all.

        Yields:
            Keys, ascending.

        Raises:
            Unreachable: the bucket cannot be listed.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        more = {"StartAfter": after} if after else {}
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix, **more
            ):
                yield from (each["Key"] for each in page.get("Contents", ()) if each["Size"])
        except (BotoCoreError, ClientError) as error:
            raise Unreachable(f"s3://{self.bucket} cannot be listed: {error}: grant s3:ListBucket") from None

    @contextmanager
    def opened(self, key: str) -> Iterator[Path]:
        """A copy of an object, gone afterwards.

        Args:
            key: its name.

        Yields:
            The file.

        Raises:
            Unreachable: it cannot be read.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        with tempfile.TemporaryDirectory(prefix="milepost-s3-") as folder:
            path = Path(folder) / "object"
            try:
                self._client.download_file(self.bucket, key, str(path))
            except (BotoCoreError, ClientError, OSError) as error:
                raise Unreachable(f"s3://{self.bucket}/{key} cannot be read: {error}: grant s3:GetObject") from None
            yield path

    def read(self, key: str) -> bytes:
        """An object's bytes.

        Args:
            key: its name.

        Returns:
            All of them.

        Raises:
            Unreachable: it cannot be read.
        """
        with self.opened(key) as path:
            return path.read_bytes()

    def replace(self, key: str, data: bytes) -> None:
        """Put other bytes in an object's place; a bucket with versions keeps the former ones as an old version.

        Args:
            key: its name.
            data: durable when this returns.

        Raises:
            Unreachable: it cannot be written.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.put_object(Bucket=self.bucket, Key=key, Body=data)
        except (BotoCoreError, ClientError) as error:
            raise Unreachable(f"s3://{self.bucket}/{key} cannot be written: {error}: grant s3:PutObject") from None

    def drop_versions(self, *, current: bool = False) -> int:
        """Delete for ever what stood in objects under the prefix before they were replaced or deleted.

        Args:
            current: what stands in them now, too.

        Returns:
            How many versions there were.

        Raises:
            Unreachable: they cannot be listed or deleted.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        count = 0
        try:
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=self.prefix)
            for page in pages:
                for each in page.get("Versions", ()):
                    if current or not each["IsLatest"]:
                        self._client.delete_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])
                        count += 1
        except (BotoCoreError, ClientError) as error:
            remedy = "grant s3:ListBucketVersions and s3:DeleteObjectVersion"
            raise Unreachable(f"old versions in s3://{self.bucket} cannot be deleted: {error}: {remedy}") from None
        return count


def _connect() -> Any:
    try:
        import boto3
    except ImportError:
        raise Misconfigured("s3:// needs boto3: pip install 'milepost[aws]'") from None
    return boto3.client("s3")
