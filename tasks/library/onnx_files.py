"""Domains as ONNX files: whatever their method left, for what draws is written, not its weights."""

from __future__ import annotations

from pathlib import Path

from nada.checkpoints import read_any
from nada.checkpoints.onnx.export import OnnxFile, check_installed, save_onnx
from nada.errors import OutputError
from nada.hashing import sha256_file
from nada.paths import is_file, is_folder
from tasks.config.params import load_params
from tasks.library.domains import SOURCE, find_making, made_from, open_domain


def export_onnx(domain: str, out: Path, params_path: Path, force: bool = False) -> OnnxFile:
    """Write a finished domain, or the source, as one file.

    Raises:
        CheckpointError, ParamsError: see `open_domain` and `nada.checkpoints.onnx.export.save_onnx`.
        OutputError: something is there already, or it cannot be written.
    """
    check_installed()
    _check_absent(out, force)
    about = {"domain": domain, "generator_sha256": made_from(domain, load_params(params_path))}
    if domain != SOURCE:
        making = find_making(domain)
        about |= {"source": making.row.source, "target": making.row.target or "", "key": making.key}
    return save_onnx(out, open_domain(domain, params_path, "cpu"), about)


def convert_onnx(source: Path, out: Path, force: bool = False) -> OnnxFile:
    """Write a generator's file, in any format, as ONNX.

    Raises:
        CheckpointError: it cannot be read, or see `nada.checkpoints.onnx.export.save_onnx`.
        OutputError: something is there already, or it cannot be written.
    """
    check_installed()
    _check_absent(out, force)
    return save_onnx(out, read_any(source), {"file_sha256": sha256_file(source)})


def _check_absent(out: Path, force: bool) -> None:
    if (is_file(out) or is_folder(out)) and not force:
        raise OutputError(f"{out}: is there already; --force overwrites it")
