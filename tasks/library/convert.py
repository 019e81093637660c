"""Generators in other tools' formats, each compared with what it came from once it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nada.checkpoints import conversion_report, load_light, read_any, save_fp16, write_any
from nada.checkpoints.conversion import ConversionReport, information_lost
from nada.checkpoints.formats import SUFFIXES, Format, detect
from nada.errors import CheckpointError, OutputError, ParamsError, nearest
from nada.paths import is_file, is_folder
from tasks.download.registry import load_registry
from tasks.library.domains import SOURCE, find_weights, finished_domains


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A file that was written, and how true it is."""

    path: Path
    format: Format
    bytes: int
    report: ConversionReport
    lost: tuple[str, ...]
    """What the format has no place for, or its tools no use, a sentence each."""


def weights_of(what: str, params_path: Path) -> Path:
    """The file that is meant by a path, a name of the registry, a finished domain, or `source`.

    Raises:
        CheckpointError: there is none yet; names what to do.
        ParamsError: the registry or params.yaml cannot be read.
    """
    path = Path(what)
    if is_file(path) or len(path.parts) > 1 or path.suffix in SUFFIXES:
        return path
    registry = load_registry()
    domains = [SOURCE, *finished_domains()]
    if what in domains:
        return find_weights(what, params_path)
    if what not in registry:
        hint = nearest(what, [*domains, *registry]) or "; see nada weights list"
        raise CheckpointError(f"{what}: no file, no finished domain and no name of the registry{hint}")
    if not registry[what].path.is_file():
        raise CheckpointError(f"{registry[what].path}: not there yet; get it with: nada weights fetch {what}")
    return registry[what].path


def convert(
    source: Path,
    out: Path,
    to: Format | None = None,
    half: bool = False,
    force: bool = False,
    onto: Path | None = None,
) -> Converted:
    """Write a generator in a format, read it back, and compare.

    Args:
        source: a file in any format; a delta finds its parent as when it is sampled.
        out: the file to write.
        to: its format; by default as `out` ends.
        half: parameters in float16, in nada's format alone.
        force: overwrite what is there.
        onto: another generator, whose styles a light source moves instead of those that it was trained on.

    Raises:
        CheckpointError: `out` ends as no format does, or the source cannot be read, or is not light and is to be moved,
            or moves other styles than the other generator has, or the format cannot hold it.
        OutputError: something is there already, or it cannot be written.
        ParamsError: half precision for a tool that expects single.
    """
    if (is_file(out) or is_folder(out)) and not force:
        raise OutputError(f"{out}: is there already; --force overwrites it")
    if half and (to or SUFFIXES.get(out.suffix)) != "nada":
        raise ParamsError(f"--half: {out} is not for nada; other tools expect float32, so end it in .safetensors")
    if to is None and out.suffix not in SUFFIXES:
        known = ", ".join(f"{suffix} ({tool})" for suffix, tool in SUFFIXES.items())
        raise CheckpointError(f"{out}: {out.suffix!r} names no format to write; use {known}, .onnx")
    before = read_any(source) if onto is None else load_light(source, read_any(onto)).folded()
    if half:
        save_fp16(out, before)
    else:
        write_any(out, before, to)
    written = detect(out)
    report = conversion_report(before, read_any(out))
    lost = tuple(information_lost(before.config, written)) or report.lost
    return Converted(path=out, format=written, bytes=out.stat().st_size, report=report, lost=lost)
