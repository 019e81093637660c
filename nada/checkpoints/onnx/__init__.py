"""Domains as ONNX: one file that draws pictures from z, for runtimes without Python and without nada."""
