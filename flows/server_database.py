"""The database of an embedded Prefect server, begun as a copy of an empty one.

Prefect makes its tables by a hundred migrations: four seconds of the processor, in each new project. The first one on a
machine pays them; an empty database is then kept in `~/.cache/nada` (`XDG_CACHE_HOME` moves that), which may be removed
at any time.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

from prefect.settings import get_current_settings

from nada.atomic import replacing
from nada.errors import OutputError


def begin_database() -> bool:
    """Copy an empty database to where the server will look for one, if none is there; whether one will be missed."""
    path = own_database()
    if path is None or path.exists():
        return False
    if any(path.with_name(path.name + ending).exists() for ending in ("-wal", "-shm", "-journal")):
        return True  # of a database that went: SQLite would take it for the copy's own
    with suppress(OSError, RuntimeError):  # no home, no copy
        if not is_whole(empty_database()):
            return True
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # as Prefect makes it
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            copy = shutil.copyfile(empty_database(), Path(folder) / path.name)
            os.link(copy, path)  # unlike a rename it leaves alone what another server has made meanwhile
        return False
    return True


def keep_database() -> None:
    """Keep the database of a server that has just made it, before anything is recorded there."""
    path = own_database()
    if path is None or not path.is_file():
        return
    try:
        with replacing(empty_database()) as partial, closing(sqlite3.connect(partial)) as copy:
            with closing(sqlite3.connect(path)) as made:
                made.backup(copy)
            if copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'configuration'").fetchone():
                copy.execute("DELETE FROM configuration")  # such as a key, which every project has to itself
                copy.commit()
            copy.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
        empty_database().chmod(0o600)
    except (OSError, RuntimeError, OutputError, sqlite3.Error):
        return  # the next project makes its own


def own_database() -> Path | None:
    """Prefect's database of this project; None where its settings name another one."""
    settings = get_current_settings()
    path = settings.home / "prefect.db"
    url = settings.server.database.connection_url
    return path if url is not None and url.get_secret_value() == f"sqlite+aiosqlite:///{path}" else None


def empty_database() -> Path:
    """The one that projects of this Prefect begin with."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "nada" / f"prefect-{version('prefect')}.db"


def is_whole(path: Path) -> bool:
    """Whether a database is there, undamaged, with its tables."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            ((said,),) = database.execute("PRAGMA quick_check").fetchall()
            revisions = database.execute("SELECT version_num FROM alembic_version").fetchall()
            (runs,) = database.execute("SELECT count(*) FROM flow_run").fetchone()
    except (sqlite3.Error, ValueError):
        return False
    return said == "ok" and len(revisions) == 1 and runs == 0
