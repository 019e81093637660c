"""The zip that `torch.save` writes, held to what torch writes: plain records, one after the other, in one folder.

Whatever else a zip could hold has no business in a checkpoint, and readers disagree about it.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import PurePosixPath
from typing import BinaryIO

from nada.checkpoints.pickles.allowlist import RefusedError
from nada.errors import shown

LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # of a record: signature, ..., lengths of its name and of its padding
LOCAL_MAGIC = b"PK\x03\x04"
END = struct.Struct("<4s4H2IH")  # of the archive: signature, ..., number of records, ..., place of the directory
END_MAGIC = b"PK\x05\x06"
ELSEWHERE_16, ELSEWHERE_32 = 0xFFFF, 0xFFFFFFFF  # the number is in the 64-bit end that comes before
ENCRYPTED_FLAG = 0x1


def check_archive(file: BinaryIO, archive: zipfile.ZipFile, may_have_code: bool = False) -> str:
    """The folder that all records lie in.

    Args:
        file: the archive, opened.
        archive: the same.
        may_have_code: it may be a TorchScript program, whose code torch compresses.

    Raises:
        RefusedError: compressed, encrypted, repeated, overlapping or misnamed records; content that is no record.
    """
    records = sorted(archive.infolist(), key=lambda info: info.header_offset)
    names = [info.filename for info in records]
    folders = {name.split("/")[0] for name in names}
    if len(folders) != 1:
        raise RefusedError(f"{len(folders)} folders in the archive; torch writes one, fetch it again")
    folder = folders.pop()
    if f"{folder}/data.pkl" not in names:
        raise RefusedError("no 'data.pkl' in the archive; expected a file of torch.save")
    if len(set(names)) != len(names):
        raise RefusedError("a record twice in the archive; fetch it again")
    end = 0
    for info in records:
        problem = _problem(info, may_be_compressed=may_have_code and is_code(info.filename))
        if problem:
            raise RefusedError(f"{problem} {shown(info.filename)}; torch writes none, fetch it again")
        if info.header_offset < end:
            raise RefusedError("overlapping records in the archive; fetch it again")
        end = _check_local_header(file, info)
    if records[0].header_offset != 0 or end > archive.start_dir or not _is_sound_end(file, archive):
        raise RefusedError("content before, behind or between the records of the archive; fetch it again")
    return folder


def _is_sound_end(file: BinaryIO, archive: zipfile.ZipFile) -> bool:
    """Whether the file ends with the archive's end, which agrees with its directory."""
    file.seek(-END.size, 2)
    magic, _, _, _, count, _, place, comment_bytes = END.unpack(file.read(END.size))
    return (
        magic == END_MAGIC
        and count in (len(archive.filelist), ELSEWHERE_16)
        and place in (archive.start_dir, ELSEWHERE_32)
        and comment_bytes == 0
    )


def is_code(name: str) -> bool:
    """Whether a record is code of a TorchScript program."""
    return name.split("/", 2)[1:2] == ["code"]


def _problem(info: zipfile.ZipInfo, may_be_compressed: bool) -> str:
    """What is wrong with a record by the archive's directory; empty: nothing."""
    if may_be_compressed:
        pass
    elif info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        return "compressed member"  # it could unpack to any size
    if info.flag_bits & ENCRYPTED_FLAG:
        return "encrypted member"
    path = PurePosixPath(info.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in info.filename or str(path) != info.filename:
        return "misleading member name"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if len(path.parts) < 2 or kind not in (0, stat.S_IFREG):
        return "member that is no record"
    return ""


def _check_local_header(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where a record's numbers end; the header before them must agree with the directory.

    Raises:
        RefusedError: it does not.
    """
    file.seek(info.header_offset)
    magic, _, _, method, *_, name_bytes, padding_bytes = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    name = file.read(name_bytes)
    if magic != LOCAL_MAGIC or method != info.compress_type or name != info.orig_filename.encode():
        raise RefusedError("a record differs from the archive's directory; fetch it again")
    end: int = info.header_offset + LOCAL_HEADER.size + name_bytes + padding_bytes + info.compress_size
    return end
