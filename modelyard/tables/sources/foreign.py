"""Files that are no tables, or tables in a format that is not read: known by their first bytes, and named."""

from __future__ import annotations

import codecs

_FOREIGN = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or a damaged Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls), or one with a password; save it as .xlsx or CSV"),
    (b"\x1f\x8b", "a gzip archive in a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"PARE", "an encrypted Parquet file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"FEA1", "a Feather file of version 1"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format 3\x00", "an SQLite database"),
)
_TEXTS = (b"PARE", b"ORC", b"BZh", b"FEA1", b"GIF8", b"%PDF")
"""Beginnings that a CSV may have as well; the file is only foreign if it holds bytes that text does not have."""

_MARKUP = (b"<!doctype", b"<html", b"<head", b"<body", b"<meta", b"<style", b"<table", b"<div", b"<?xml")
_NO_TEXT = bytes({*range(32)} - {*b"\t\n\r\f\v\x1b"})


def foreign(data: bytes) -> str | None:
    """Return what a file is that is no table, as it is named after `it is`; None if it may be text."""
    start = data[:4096].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if start.startswith(_MARKUP):
        kind = "XML" if start.startswith(b"<?xml") and b"<html" not in start else "an HTML page"
        return f"{kind}, whatever its name says; save it as CSV"
    for magic, name in _FOREIGN:
        if data.startswith(magic) and (magic not in _TEXTS or not is_text(data)):
            return name
    return None


def is_text(data: bytes) -> bool:
    """Whether there is no byte that text in UTF-8 or an encoding of single bytes does not have."""
    return len(data.translate(None, _NO_TEXT)) == len(data)
