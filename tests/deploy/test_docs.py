"""docs/deploy-aws.md, followed command by command against ministack."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from contract import timestamps
from contract.codec import dump
from deploy.ministack import Ministack, environment
from tests.collector.handlers.mapping import envelope
from tests.local_aws import ministack, sam_cli

ROOT = Path(__file__).parent.parent.parent
BLOCKS = re.findall(
    r"^```\n(.*?)^```", (ROOT / "docs/deploy-aws.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


class Reader:
    """Somebody with a clone and a terminal; the account is a ministack."""

    def __init__(self, folder: Path, cloud: Ministack) -> None:
        self._folder = folder
        self._shell = {
            **os.environ,
            **environment(cloud.url),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SAM_CLI_TELEMETRY": "0",
        }
        (folder / ".venv-sam/bin").mkdir(parents=True)
        (folder / ".venv-sam/bin/sam").symlink_to(sam_cli())

    def package(self) -> None:
        argv = [sys.executable, "-m", "deploy.package", "--from-here", "--folder", str(self._folder / "build/aws")]
        subprocess.run(argv, cwd=ROOT, check=True)

    def follow(self, about: str, *but: tuple[str, str]) -> str:
        """What the one block that speaks of `about` prints; `but`: what the reader types in place of what."""
        (block,) = (block for block in BLOCKS if about in block)
        for what, instead in but:
            assert what in block
            block = block.replace(what, instead)
        done = subprocess.run(
            ["bash", "-euc", block], cwd=self._folder, env=self._shell, capture_output=True, check=False, timeout=300
        )
        assert done.returncode == 0, block + done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode()


def given_up(event_id: str) -> dict[str, Any]:
    """What Lambda writes to the bucket for a batch that it gave up."""
    now = time.time_ns() // 1_000_000
    event = {"event_id": event_id, "event_type": "click", "timestamp": timestamps.from_ms(now), "item_id": "spilled"}
    record = envelope(dump(event).encode(), 1, key="spilled", arrived_ms=now)
    arn = "arn:aws:lambda:us-east-1:000000000000:function:milepost-clicks"
    return {
        "requestContext": {"functionArn": arn, "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 1001},
        "version": "1.0",
        "KinesisBatchInfo": {"shardId": "shardId-000000000000", "batchSize": 1},
        "payload": json.dumps({"Records": [record]}),
    }


@pytest.mark.prove
def test_a_reader_of_the_page_comes_to_a_stack_and_a_truck(tmp_path: Path) -> None:
    """Deployed by the SAM CLI, a truck made known and set, a batch that was given up put back; taken down."""
    ministack()  # skips where there is none
    if not (shutil.which("aws") and shutil.which("jq")):
        pytest.skip("the AWS CLI and jq are not installed")
    with Ministack(tmp_path / "ministack") as cloud:
        reader = Reader(tmp_path, cloud)
        reader.package()
        assert "BeaconUrl" in reader.follow("sam deploy")
        assert "TRUCK-001 is new" in reader.follow("provision init")
        assert json.loads((tmp_path / "TRUCK-001.json").read_text())
        reader.follow("iot-data publish")
        kept = cloud.client("iot-data").get_retained_message(topic="fleet/TRUCK-001/config")
        assert json.loads(kept["payload"])["interval"] == 30
        mapping = cloud.client("lambda").list_event_source_mappings(FunctionName="milepost-clicks")
        reader.follow(
            "update-event-source-mapping", ("--uuid UUID", f"--uuid {mapping['EventSourceMappings'][0]['UUID']}")
        )
        bucket, key = "milepost-000000000000-us-east-1", "aws/lambda/uuid/shardId-000000000000/2026/01/01/batch"
        cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(given_up("spilled-1")).encode())
        for _ in range(2):
            said = reader.follow("jq", ("BUCKET/KEY", f"{bucket}/{key}"), ("BUCKET", bucket))
            assert key in said
            assert said.endswith('{"batchItemFailures": []}')
        counts = cloud.client("dynamodb").scan(TableName="milepost-click_counts")["Items"]
        assert sum(int(row["count"]["N"]) for row in counts) == 1
        reader.follow("sam delete", ("--stack-name milepost", "--stack-name milepost --no-prompts"))
        assert "milepost-samples" in cloud.client("dynamodb").list_tables()["TableNames"]
        functions = {each["FunctionName"] for each in cloud.client("lambda").list_functions()["Functions"]}
        assert functions == {"milepost-provisioning-hook"}
