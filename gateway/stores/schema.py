"""The tables of the SQLite store, and how a file of an earlier schema becomes one of this.

A row of `records` is what a call has for itself. What it shares with many others (who asked for what, and how it ended)
stands once, in `circumstances`. Both are read as one by `questions`, and written by `lines`.
"""

from __future__ import annotations

import logging
import sqlite3

from gateway.errors import StoreError
from gateway.stores import days, lines, rows

log = logging.getLogger("gateway.stores")
VERSION = 3
BUSY = 0.25  # seconds to wait while another process writes
UPGRADE = 600  # seconds to wait while another process brings the file to this schema
TOGETHER, MANY = 4096, 50_000  # records of an earlier schema, and circumstances, in memory at once
CACHE = 64_000  # KB, while it is done

_GROUPS = ", ".join(f"{name} TEXT" for name in lines.SHARED)
_SAID = ", ".join(f"{name} INTEGER" for name in lines.SAID)
_TOKENS = ", ".join(f"{name} INTEGER" for name in lines.TOKENS)
# A record's key is its time in microseconds and its id, so that one written twice stands once.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS buckets (entity TEXT PRIMARY KEY, state BLOB, touched INTEGER) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS documents (kind TEXT, key TEXT, value BLOB, version INTEGER, expires REAL,
        PRIMARY KEY (kind, key)) WITHOUT ROWID""",
    f"""CREATE TABLE IF NOT EXISTS circumstances (circumstance INTEGER PRIMARY KEY, period INTEGER, row TEXT, {_GROUPS},
        {_SAID}, UNIQUE (period, row, estimated))""",
    f"""CREATE TABLE IF NOT EXISTS records (at INTEGER, id TEXT, circumstance INTEGER, session TEXT, {_TOKENS}, usd REAL, own BLOB,
        PRIMARY KEY (at, id)) WITHOUT ROWID""",
)
# To find documents past their time; a file of this schema may be older than it.
_ENDING = "CREATE INDEX IF NOT EXISTS documents_by_end ON documents (expires) WHERE expires IS NOT NULL"


def connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")  # with WAL: safe against the end of the process
    return connection


def create(connection: sqlite3.Connection) -> None:
    """Several workers may start at once, on a file that is not there yet."""
    connection.execute(f"PRAGMA busy_timeout = {UPGRADE * 1000}")
    connection.execute("PRAGMA journal_mode = WAL")
    if _version(connection) < VERSION or not days.stand(connection):
        connection.execute("BEGIN IMMEDIATE")
        with connection:  # all of it, or nothing
            _upgrade(connection, _version(connection))
    connection.execute(_ENDING)
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}")


def _version(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise StoreError(f"the SQLite store was written by a newer version of the gateway (schema {found})")
    return found


def _upgrade(connection: sqlite3.Connection, found: int) -> None:
    earlier = 0 < found < VERSION
    if earlier:
        connection.execute("ALTER TABLE records RENAME TO earlier")
    for table in _TABLES:
        connection.execute(table)
    if not days.stand(connection):
        days.create(connection)
    if earlier:
        _copy(connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _copy(connection: sqlite3.Connection) -> None:
    """Up to schema 2 a record was one row, with all of it as JSON."""
    log.warning("bringing the records of the SQLite store to schema %d; this is done once", VERSION)
    connection.execute(f"PRAGMA cache_size = -{CACHE}")
    found = connection.execute("SELECT row FROM earlier ORDER BY position")
    known: lines.Known = {}
    while some := found.fetchmany(TOGETHER):
        learnt = lines.insert(connection, [rows.unpack(row) for (row,) in some], known)
        lines.learn(known, learnt, most=MANY)
    connection.execute("PRAGMA secure_delete = FAST")  # or every page of it is written once more
    connection.execute("DROP TABLE earlier")
