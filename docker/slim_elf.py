"""Take out of shared libraries what a running service never reads: symbol tables, debug information, GPU code.

`python slim_elf.py FOLDER` rewrites every 64-bit little-endian ELF file below a folder whose size it can lessen. It
goes by the program headers, which are all that the dynamic loader looks at: every byte that they map keeps its address
and its value. The one exception is `.nv_fatbin`, CUDA's machine code, which only a driver for such a card would read:
it becomes memory that reads as zeros and takes no room in the file.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass, replace
from pathlib import Path

GPU_CODE = b".nv_fatbin"

_MAGIC = b"\x7fELF\x02\x01\x01"  # 64 bits, little-endian, version 1
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_LOAD, _PHDR = 1, 6


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header, field by field as the format has it."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    file_size: int
    memory_size: int
    align: int

    @property
    def end(self) -> int:
        """Where it ends in the file."""
        return self.offset + self.file_size

    def packed(self) -> bytes:
        """Return its bytes."""
        return _SEGMENT.pack(*(getattr(self, name) for name in self.__slots__))


def slimmed(data: bytes) -> bytes:
    """Return a library without what is never read; the very same bytes where there is nothing to leave out."""
    if not data.startswith(_MAGIC):
        return data
    header = list(_HEADER.unpack_from(data))
    table, count, size = header[5], header[10], header[9]
    if size != _SEGMENT.size or not count:
        return data
    segments = [Segment(*_SEGMENT.unpack_from(data, table + size * number)) for number in range(count)]
    needed = max(table + size * count, *(segment.end for segment in segments))
    hole = _hole(segments, _section(data, header, GPU_CODE))
    if needed >= len(data) and hole is None:
        return data
    header[6] = header[12] = header[13] = 0  # no section headers: the loader reads none
    body = bytearray(data[:needed])
    if hole is not None:
        segments = _cut(body, segments, *hole)
        table = header[5] = hole[0]
        header[10] = len(segments)
    _HEADER.pack_into(body, 0, *header)
    for number, segment in enumerate(segments):
        body[table + size * number : table + size * (number + 1)] = segment.packed()
    return bytes(body)


def _section(data: bytes, header: list[int], name: bytes) -> tuple[int, int] | None:
    """Find where a section begins and ends in the file."""
    table, count, names_at = header[6], header[12], header[13]
    if not table or names_at >= count:
        return None
    sections = [_SECTION.unpack_from(data, table + _SECTION.size * number) for number in range(count)]
    names = sections[names_at][4]
    for section in sections:
        start = names + section[0]
        if data[start : data.index(b"\0", start)] == name:
            return section[4], section[4] + section[5]
    return None


def _hole(segments: list[Segment], section: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the whole pages of a section that lies within one mapped segment."""
    if section is None:
        return None
    page = max(segment.align for segment in segments if segment.kind == _LOAD)
    start, end = -(-section[0] // page) * page, section[1] // page * page
    within = any(segment.kind == _LOAD and segment.offset <= start and end <= segment.end for segment in segments)
    return (start, end) if within and end - start > 2 * page else None


def _cut(body: bytearray, segments: list[Segment], start: int, end: int) -> list[Segment]:
    """Take a hole out of the file and split the segment around it; its first page is kept for the longer table."""
    page = max(segment.align for segment in segments if segment.kind == _LOAD)
    gone = end - start - page
    del body[start + page : end]
    body[start : start + page] = bytes(page)
    (around,) = (one for one in segments if one.kind == _LOAD and one.offset <= start < one.end)
    mapped = end - around.offset
    ahead = replace(around, file_size=start + page - around.offset, memory_size=mapped)
    behind = Segment(
        around.kind,
        around.flags,
        start + page,
        around.address + mapped,
        around.physical + mapped,
        around.file_size - mapped,
        around.memory_size - mapped,
        around.align,
    )
    cut: list[Segment] = []
    for segment in segments:
        if segment is around:
            cut += [ahead, behind]
        elif segment.kind == _PHDR:
            size, address = (len(segments) + 1) * _SEGMENT.size, around.address - around.offset + start
            cut.append(Segment(_PHDR, segment.flags, start, address, address, size, size, segment.align))
        else:
            cut.append(replace(segment, offset=segment.offset - gone) if segment.offset >= end else segment)
    return cut


def main(folder: Path) -> None:
    """Slim every library below a folder, and say by how much."""
    before = after = 0
    for path in sorted(folder.rglob("*.so*")):
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        slim = slimmed(data)
        before, after = before + len(data), after + len(slim)
        if slim is not data:
            path.write_bytes(slim)
    sys.stdout.write(f"shared libraries: {before / 1e6:.0f} MB, now {after / 1e6:.0f} MB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
