"""What `nada weights export` and `convert` do where the file is ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from nada.checkpoints.onnx.export import OnnxFile

SUFFIX = ".onnx"


def export_as_onnx(
    domain: str, out: Path | None, folder: Path | None, onto: str | None, force: bool, params: Path
) -> None:
    """One domain, or every finished one into a folder; they may be of any method."""
    from flows.cli.display import make_display
    from flows.cli.weights_display import export_each
    from nada.errors import InputError
    from tasks.config.project import HERE
    from tasks.library.domains import finished_domains
    from tasks.library.onnx_files import export_onnx

    if onto is not None:
        raise typer.BadParameter("--onto moves styles between nada's own files; export that file as ONNX afterwards")
    files = {domain: out or Path(f"{domain}{SUFFIX}")}
    if folder is not None:
        files = {name: folder / f"{name}{SUFFIX}" for name in finished_domains()}
        if not files:
            raise InputError(f"{HERE.adapted}: no finished domain to export; nada run makes them")
    display = make_display()
    export_each(files, lambda name, file: _lines(export_onnx(name, file, params, force)), display)


def convert_to_onnx(source: Path, out: Path, force: bool) -> None:
    """A generator's file."""
    from flows.cli.display import make_display
    from tasks.library.onnx_files import convert_onnx

    make_display().say(_lines(convert_onnx(source, out, force)))


def _lines(file: OnnxFile) -> str:
    from flows.cli.weights_display import megabytes

    off = f"{file.image_difference:.2g}"
    return (
        f"{file.path}  onnx, opset {file.opset}, {megabytes(file.bytes)}: z and truncation_psi to img\n"
        f"onnxruntime's pictures are within {off} of these, in [-1, 1]"
    )
