"""Generators: one protocol, the families behind it, and what lies between two generators."""
