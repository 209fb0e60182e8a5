"""sqlite-utils, with which stores and buffers make their tables, without what it would load beside itself."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

_NEEDLESS = ("pandas", "numpy")


def database_class() -> "type[Database]":
    """The class, imported when it is asked for.

    Where pandas is installed sqlite-utils loads it, which takes half a second of every process that makes a new file,
    and no table of ours comes from there. While this import lasts no other thread can import pandas or numpy anew.

    Returns:
        sqlite_utils.Database.
    """
    hidden = [name for name in _NEEDLESS if name not in sys.modules]
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules.update(dict.fromkeys(hidden))  # what is None is said not to be there
    try:
        from sqlite_utils import Database
    finally:
        for name in hidden:
            del sys.modules[name]
    return Database
