"""Rotates a wallet's identity, killed at every durable step in turn; prints one JSON line a kill.

argv: identity folder, and which step is next after one: 1 for each. An attempt is a forked child that SIGKILLs itself
at the n-th step: just before a file is flushed, renamed, linked or removed, before a request is sent, and after its
answer came. Then another child must be able to connect with the current identity, and finish what was under way.
"""

import http.client
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from agent.enrollment.connection_test import MqttProof
from agent.enrollment.credential_store import Wallet
from agent.enrollment.enrollment_file import kept
from agent.enrollment.fleet_provisioning_awsiot import AwsIotDesk
from agent.enrollment.renewal import renew


def die_at(n: int) -> None:
    """Count the steps of this process, and end it at the n-th."""
    count = 0

    def watch(owner: Any, name: str, *, after: bool = False) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def watched(*args: Any, **options: Any) -> Any:
            nonlocal count
            result = original(*args, **options) if after else None
            count += 1
            if count == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return result if after else original(*args, **options)

        setattr(owner, name, watched)

    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "rename"), (Path, "symlink_to"), (shutil, "rmtree")):
        watch(owner, name)
    watch(http.client.HTTPSConnection, "request")
    watch(http.client.HTTPResponse, "read", after=True)
    for request in ("create", "register"):
        watch(AwsIotDesk, request)
        watch(AwsIotDesk, request, after=True)
    watch(MqttProof, "__call__")
    watch(MqttProof, "__call__", after=True)


def in_child(work: Callable[[], None]) -> int:
    """How a child that does this work ends."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:  # noqa: BLE001 - the child's end
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(code)


def main() -> None:
    wallet = Wallet(Path(sys.argv[1]))
    address = kept(wallet)
    assert address

    def rotate(n: int) -> None:
        die_at(n)
        renew(wallet, address, None, now=True)

    def connect() -> None:
        current = wallet.current
        assert current
        MqttProof(address.broker, address.truck_id)(current)

    n, every = 1, int(sys.argv[2])
    ended = -signal.SIGKILL
    while ended == -signal.SIGKILL:
        ended = in_child(partial(rotate, n))
        report = {"step": n, "ended": ended, "connects": in_child(connect)}
        report["finishes"] = in_child(lambda: void(renew(wallet, address, None)))
        report["connects_after"] = in_child(connect)
        print(json.dumps(report), flush=True)
        sys.stdin.readline()
        n += every


def void(_: object) -> None:
    """Nothing."""


if __name__ == "__main__":
    main()
