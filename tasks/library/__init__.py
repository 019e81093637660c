"""Finished domains put to use: pictures, films, other tools' formats."""
