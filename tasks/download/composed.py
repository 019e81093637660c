"""A generator of the registry that is put together here: another entry's, and a part that comes with the project.

Beside `FILE` lies `FILE.fetched.json`: {"name", "made_of": sha256 of both, "sha256", "bytes", "fetched"}.
"""

from __future__ import annotations

from pathlib import Path

from nada.errors import CheckpointError, FetchError
from nada.hashing import sha256_file
from tasks.download.records import Fetched, read_record, write_record


def compose_entry(name: str, path: Path, source: Path, part: Path, force: bool = False) -> Fetched:
    """Have a generator in nada's format; one that was made of the same two files is kept.

    Args:
        name: the entry's name.
        path: where it shall lie.
        source: the whole generator's file.
        part: what takes the place of its upper blocks (`nada.checkpoints.openvino.smaller`).
        force: put it together anew, whatever lies there.

    Raises:
        CheckpointError: a file cannot be read, or they do not fit.
        FetchError: something else lies there.
        OutputError: it cannot be written.
    """
    if not part.is_file():
        raise CheckpointError(f"{part}: no such file; it comes with nada's repository, run nada in its folder")
    made_of = {"source": sha256_file(source), "part": sha256_file(part)}
    record = read_record(path)
    if path.exists() and not force:
        found = sha256_file(path)
        if record.get("sha256") != found:
            way_out = f"nada weights fetch {name} --force replaces it"
            raise FetchError(f"{path}: sha256 {found} is not of the file that was put together here; {way_out}")
        if record.get("made_of") == made_of:
            return Fetched(path, found, path.stat().st_size, is_new=False, checked_by="its record")
    from nada.checkpoints import read_any, save_generator
    from nada.checkpoints.openvino.smaller import compose, read_part

    save_generator(path, compose(part, read_any(source), read_part(part)))
    made = Fetched(path, sha256_file(path), path.stat().st_size, is_new=True, checked_by="")
    write_record(path, {"name": name, "made_of": made_of, "sha256": made.sha256, "bytes": made.bytes})
    return made
