"""mosquitto's side of identities: the listener, and who may do what as the dynamic-security plugin's file and commands.

Promises to the box: whoever comes in by the TLS listener has a certificate of this CA that is not revoked, is called by
its common name whatever client id or user name he gives, and as that truck may publish exactly its telemetry, batch,
report, status and question for the time, and hear exactly its resend, config, command and time. Tried with mosquitto
2.0.11:

- The plugin is needed since an ACL file grants every SUBSCRIBE (and delivers nothing); the plugin refuses it.
- It has no `%u`, so each truck has a role of its own. A command rewrites the plugin's whole file in mosquitto's one
  thread (80 ms at 10,000 trucks), hence `MANY`: beyond it the file is written here and the broker started again.
- It does not look at clients that come by certificate (eclipse-mosquitto/mosquitto#2999): one that is deleted may still
  connect, though do nothing. So the revocation list refuses the handshake; SIGHUP makes mosquitto load it again.
- A client id cannot be refused, only overruled (`use_username_as_clientid`; mosquitto/mosquitto#1856): A with the id of
  B is A, B is not disturbed, and no log tells. The plugin's own check of client ids is for passwords only.

On the loopback listener whoever gives no name is this machine: he may hear everything, and publish as the trucks that
`up` simulates, else as nobody. Only the collector asks trucks to resend and configures them, and only the operator
commands them; their passwords are beside the plugin's file, for the box's owner.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract import topics
from contract.descriptors import RESERVED, raise_limit
from contract.errors import Unreachable
from provisioning.reserved_names import ADMIN, ANYONE_HERE, COLLECTOR, OPERATOR

MANY = 20
CONTROL = "$CONTROL/dynamic-security/v1"
_ITERATIONS = 101  # of a password that is 256 random bits and lives as long as one start of the box
_PLUGIN_FOLDERS = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
_PLUGIN = "mosquitto_dynamic_security.so"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Passwords:
    """Of the box's own three clients: random, new at each start of the box."""

    admin: str
    collector: str
    operator: str

    @classmethod
    def new(cls) -> "Passwords":
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    def __repr__(self) -> str:
        return "Passwords(…)"


@dataclass(frozen=True, slots=True)
class Listener:
    """Where trucks connect: the address and port to listen on, and the folder with roots.pem, server.* and crl.pem."""

    address: str
    port: int
    folder: Path


def configuration(listener: Listener, security_file: Path, plugin: Path) -> Iterator[str]:
    """The lines of mosquitto.conf for the TLS listener and the plugin; the loopback listener and limits are the
    caller's.

    Args:
        listener: address, port, and the folder with roots, server certificate, key and revocation list.
        security_file: what the plugin keeps: clients, roles and their topics.
        plugin: of `find_plugin`.

    Returns:
        Lines without line ends, in the order that mosquitto needs.
    """
    yield f"listener {listener.port} {listener.address}"
    # What is left is for the loopback listener: strangers must not end the collector's connections, nor look like a
    # broker that hangs.
    yield f"max_connections {max(64, raise_limit() - RESERVED)}"
    yield f"cafile {listener.folder / 'roots.pem'}"
    yield f"certfile {listener.folder / 'server.pem'}"
    yield f"keyfile {listener.folder / 'server.key'}"
    yield f"crlfile {listener.folder / 'crl.pem'}"
    yield "tls_version tlsv1.2"  # or newer
    yield "require_certificate true"
    yield "use_identity_as_username true"
    yield "use_username_as_clientid true"
    yield "allow_anonymous true"  # only the loopback listener knows anybody without a certificate
    yield f"plugin {plugin}"
    yield f"plugin_opt_config_file {security_file}"
    yield "connection_messages true"
    yield from (f"log_type {kind}" for kind in ("error", "warning", "notice", "subscribe"))
    yield "log_type debug"  # or it does not log what it refuses


def find_plugin() -> Path:
    """The dynamic-security plugin that comes with mosquitto.

    Returns:
        The path of the shared library.

    Raises:
        Unreachable: there is none; says which package brings it.
    """
    for folder in map(Path, _PLUGIN_FOLDERS):
        for found in (*folder.glob(_PLUGIN), *folder.glob(f"*/{_PLUGIN}")):
            return found
    raise Unreachable(
        f"mosquitto's {_PLUGIN} is not installed: `apt-get install -y --no-install-recommends mosquitto` brings it"
    )


def security(trucks: Iterable[str], passwords: Passwords, *, simulated: Iterable[str] = ()) -> Json:
    """The plugin's whole file: these trucks, the box's own three clients, and this machine's other processes.

    simulated: as whom anybody on this machine may publish.
    """
    names = list(trucks)
    known = {ADMIN: passwords.admin, COLLECTOR: passwords.collector, OPERATOR: passwords.operator}
    own = [_own_client(name, password) for name, password in known.items()]
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [*own, *(_client(name) for name in names)],
        "groups": [{"groupname": ANYONE_HERE, "roles": [{"rolename": ANYONE_HERE}]}],
        "anonymousGroup": ANYONE_HERE,
        "roles": [_this_machine(simulated), *_OWN_ROLES, *(_role(name) for name in names)],
    }


def changes(known: set[str], wanted: set[str]) -> list[Json]:
    """The commands that bring a running plugin from one set of trucks to another; those who must go come first.

    Deleting a client also ends its live connection.
    """
    gone = sorted(known - wanted)
    new = sorted(wanted - known)
    return [
        *({"command": "deleteClient", "username": name} for name in gone),
        *({"command": "deleteRole", "rolename": name} for name in gone),
        *({"command": "createRole", **_role(name)} for name in new),
        *({"command": "createClient", **_client(name)} for name in new),
    ]


def kick(truck_id: str) -> list[Json]:
    """The commands that end a truck's live connection and leave its rights as they are."""
    return [{"command": "disableClient", "username": truck_id}, {"command": "enableClient", "username": truck_id}]


def failures(response: bytes) -> list[str]:
    """What the plugin says it could not do; that something is already as wanted is no failure."""
    answers = json.loads(response).get("responses", [])
    return [
        f"{one.get('command')}: {one['error']}"
        for one in answers
        if "error" in one and not one["error"].endswith(("not found", "already exists"))
    ]


def _role(truck_id: str) -> Json:
    hears = tuple(topic(truck_id) for topic in (topics.resend, topics.config, topics.command, topics.time))
    return {
        "rolename": truck_id,
        "acls": [
            *_sends(truck_id),
            *(_acl(kind, topic) for topic in hears for kind in ("publishClientReceive", "subscribeLiteral")),
        ],
    }


def _sends(truck_id: str) -> list[Json]:
    own = (topics.telemetry, topics.batch, topics.report, topics.status, topics.time_ask)
    return [_acl("publishClientSend", topic(truck_id)) for topic in own]


def _client(truck_id: str) -> Json:
    return {"username": truck_id, "roles": [{"rolename": truck_id}]}


def _acl(kind: str, topic: str) -> Json:
    return {"acltype": kind, "topic": topic, "allow": True}


def _own_client(name: str, password: str) -> Json:
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode("ascii"), salt, _ITERATIONS)
    return {
        "username": name,
        "password": base64.b64encode(digest).decode("ascii"),
        "salt": base64.b64encode(salt).decode("ascii"),
        "iterations": _ITERATIONS,
        "roles": [{"rolename": name}],
    }


_EVERY_WAY = ("publishClientSend", "publishClientReceive", "subscribePattern")
_HEARING = _EVERY_WAY[1:]


def _this_machine(simulated: Iterable[str]) -> Json:
    return {
        "rolename": ANYONE_HERE,
        "acls": [
            *(acl for name in simulated for acl in _sends(name)),
            *(_acl(kind, topic) for kind in _HEARING for topic in ("fleet/#", "$SYS/#")),
        ],
    }


_OWN_ROLES: list[Json] = [
    {
        "rolename": COLLECTOR,
        "acls": [
            *(_acl("publishClientSend", topic) for topic in ("fleet/+/resend", "fleet/+/config", "fleet/+/time")),
            *(_acl(kind, topic) for kind in _HEARING for topic in ("fleet/#", "$SYS/broker/publish/messages/dropped")),
        ],
    },
    {
        "rolename": OPERATOR,
        "acls": [
            _acl("publishClientSend", "fleet/+/command"),
            *(_acl(kind, topic) for kind in _HEARING for topic in ("fleet/+/status", "fleet/+/report")),
        ],
    },
    {
        "rolename": ADMIN,
        "acls": [
            *(_acl(kind, "$CONTROL/#") for kind in _EVERY_WAY),
            *(_acl(kind, topic) for kind in _HEARING for topic in ("fleet/+/status", "fleet/+/report")),
        ],
    },
]
"""A truck cannot be called like these: its name would be that of a role with other rights (reserved_names.py)."""
