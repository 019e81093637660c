"""The database of an embedded Prefect server: whole from the moment that it is there.

Prefect makes its tables by a hundred migrations, four seconds of the processor in each new project. They run in a
folder beside the database's place, which it then takes at once: a server that is killed amid them leaves nothing half
made. The first project on a machine pays them; an empty database is kept in `~/.cache/nada` (`XDG_CACHE_HOME` moves
that), which may be removed at any time, and later projects begin with a copy.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

from prefect.settings import get_current_settings

from nada.atomic import process_lives, replacing
from nada.errors import OutputError

UNFINISHED = "unfinished-"


def begin_database() -> None:
    """Put an empty database where the server will look for one, if none is there."""
    if (path := own_database()) is None:
        return
    with suppress(Exception):  # the server then makes its own, or says why it cannot
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # as Prefect makes it
        sweep_unfinished(path.parent)
        # SQLite would take the log of a database that went for the new one's own.
        if not any(path.with_name(path.name + ending).exists() for ending in ("", "-wal", "-shm", "-journal")):
            put_empty(path)


def put_empty(path: Path) -> None:
    """Copy the empty database that is kept, or make and keep one, and give it its place at once."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{UNFINISHED}{os.getpid()}-") as folder:
        fresh = Path(folder) / path.name
        kept = empty_database()
        if kept is not None and is_whole(kept):
            shutil.copyfile(kept, fresh)
        else:
            asyncio.run(make_tables(fresh))
            in_one_file(fresh)
            if kept is not None:
                keep(fresh, kept)
        os.link(fresh, path)  # unlike a rename it leaves alone what another server has made meanwhile


async def make_tables(path: Path) -> None:
    """Let Prefect migrate a database from nothing."""
    from prefect.server.database.configurations import AioSqliteConfiguration  # takes a second to import
    from prefect.server.database.dependencies import provide_database_interface, temporary_database_config

    with temporary_database_config(AioSqliteConfiguration(url_of(path))):
        interface = provide_database_interface()
        await interface.create_db()
        await (await interface.engine()).dispose()


def in_one_file(path: Path) -> None:
    """Fold a database's log into it."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")


def keep(made: Path, kept: Path) -> None:
    """Keep a copy for later projects."""
    with suppress(OSError, OutputError), replacing(kept) as partial:
        shutil.copyfile(made, partial)


def sweep_unfinished(folder: Path) -> None:
    """Remove what servers that were killed left of their attempts."""
    for left in folder.glob(f"{UNFINISHED}*"):
        pid = left.name.removeprefix(UNFINISHED).partition("-")[0]
        if pid.isdecimal() and not process_lives(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def own_database() -> Path | None:
    """Prefect's database of this project; None where its settings name another one."""
    settings = get_current_settings()
    path = settings.home / "prefect.db"
    url = settings.server.database.connection_url
    return path if url is not None and url.get_secret_value() == url_of(path) else None


def url_of(path: Path) -> str:
    """As Prefect names a database of SQLite."""
    return f"sqlite+aiosqlite:///{path}"


def empty_database() -> Path | None:
    """The one that projects of this Prefect begin with; None where there is no home to keep it in."""
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
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
