"""The role by which Grafana and the analysts' pages read the marts on PostgreSQL.

`python -m dashboards.reader_role postgresql://OWNER:PASSWORD@HOST/DATABASE` makes it, or gives it a new password, as
the owner of the marts and after the first `milepost warehouse build`. The password is READER_PASSWORD's, else one that
is made and printed once.
"""

import os
import secrets
import sys
from pathlib import Path

from contract.errors import MilepostError, Misconfigured, Unreachable

ROLE = "milepost_reader"
_RIGHTS = Path(__file__).with_name("sql") / "reader_role.sql"


def make_reader(url: str, password: str) -> bool:
    """Make the role, or set its password; its rights are those of sql/reader_role.sql afterwards.

    Args:
        url: of the owner of the marts, postgresql://…
        password: of the role.

    Returns:
        Whether it was not there before.

    Raises:
        Misconfigured: psycopg is not installed, there are no marts yet, or the owner may not make roles.
        Unreachable: the database does not answer.
    """
    try:
        import psycopg
        from psycopg import errors, sql
    except ModuleNotFoundError as error:
        raise Misconfigured(f"{error}: pip install 'milepost[warehouse]' psycopg") from None
    try:
        with psycopg.connect(url) as owner:
            is_new = owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone() is None
            verb = sql.SQL("CREATE ROLE {} PASSWORD {}" if is_new else "ALTER ROLE {} PASSWORD {}")
            owner.execute(verb.format(sql.Identifier(ROLE), sql.Literal(password)))
            owner.execute(_RIGHTS.read_bytes())
            return is_new
    except errors.InvalidSchemaName:
        raise Misconfigured("there is no schema marts: `milepost warehouse build --engine URL` makes it") from None
    except errors.InsufficientPrivilege as error:
        raise Misconfigured(f"the owner may not do that: {error.diag.message_primary}; give it CREATEROLE") from None
    except psycopg.OperationalError as error:
        raise Unreachable(f"PostgreSQL does not answer: {str(error).splitlines()[0]}") from None
    except psycopg.Error as error:
        raise Misconfigured(f"PostgreSQL refuses: {str(error).splitlines()[0]}; give the URL of the owner") from None


def main(arguments: list[str]) -> int:
    """See the module; 0, or 1 with what is wrong on stderr, 2 for a wrong call."""
    if len(arguments) != 1 or not arguments[0].startswith(("postgresql://", "postgres://")):
        sys.stderr.write("usage: python -m dashboards.reader_role postgresql://OWNER:PASSWORD@HOST:PORT/DATABASE\n")
        return 2
    given = os.environ.get("READER_PASSWORD")
    password = given or secrets.token_urlsafe(24)
    try:
        is_new = make_reader(arguments[0], password)
    except MilepostError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{ROLE} {'made' if is_new else 'has a new password'}: it may read the marts and nothing else.\n")
    if not given:
        sys.stdout.write(f"Its password, shown only now: {password}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
