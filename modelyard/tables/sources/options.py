"""How a file is read: what its sender said of it, what was said of the model's training file, and a bound of size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelyard.errors import FieldError, InvalidTable
from modelyard.schemas import Reading, TableRequest
from modelyard.tables.sources.raw import cell_count, check_names

UNPACKED_BYTES = 2**28
"""How much may come out of a compressed file if nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How a file is read. The defaults find out all that can be found out.

    `encoding` is how its text is encoded, `usual_encoding` how it is encoded if it is not UTF-8. `names` are the
    columns of a table without a header, `usual_names` those of the training table, `expected` those that a model
    needs, `carried` one that is kept beside them if it is there. `max_bytes` bounds what comes out of a compressed
    file.
    """

    encoding: str | None = None
    usual_encoding: str | None = None
    delimiter: str | None = None
    skip_rows: int = 0
    header: bool = True
    names: Sequence[str] | None = None
    usual_names: Sequence[str] | None = None
    expected: Sequence[str] | None = None
    carried: str | None = None
    sheet: str | None = None
    max_bytes: int = UNPACKED_BYTES

    @classmethod
    def usual(cls, reading: Reading | None, max_bytes: int) -> FileOptions:
        """Return the options for a model whose training table was read so; those for any table if `reading` is None."""
        if reading is None:
            return cls(max_bytes=max_bytes)
        return cls(
            usual_encoding=reading.encoding,
            delimiter=reading.delimiter,
            skip_rows=reading.skip_rows,
            header=reading.header,
            usual_names=reading.names,
            sheet=reading.sheet,
            max_bytes=max_bytes,
        )

    def told(self, request: TableRequest) -> FileOptions:
        """Return the options with what a request says in their place."""
        said = {name: value for name in _SAID if (value := getattr(request, name)) is not None}
        if request.names is not None:
            said["header"] = False
        return replace(self, **said) if said else self

    def towards(
        self, feature_names: Sequence[str] | None, expected: Sequence[str] | None, carried: str | None = None
    ) -> FileOptions:
        """Return the options for a table whose columns have these names, or from which a model needs these."""
        return replace(self, names=self.names or feature_names, expected=expected, carried=carried)

    def named(self, width: int, filled: int) -> list[str]:
        """Return the names of the columns of a file without a header, whose first row has `width` cells.

        They are those that were told, else those of the training table or those that the model needs, whichever are as
        many; in training else f0, f1, ... Cells behind the first `filled` ones are empty and may have no names, because
        rows may end in delimiters. Raises InvalidTable.
        """
        widths = range(width, filled - 1, -1)
        if self.names is not None:
            check_names(self.names, "names")
            if len(self.names) not in widths:
                message = f"names has {len(self.names)} names, the first row has {cell_count(width)}"
                raise InvalidTable.of([FieldError(("names",), message, len(self.names))])
            return list(self.names)
        known = [names for names in (self.usual_names, self.expected) if names]
        fitting = next((names for fit in widths for names in known if len(names) == fit), None)
        if fitting is None and known:
            due = ", or ".join(f"{len(names)} ({', '.join(map(repr, names[:20]))})" for names in known)
            raise InvalidTable(f"the first row has {cell_count(width)}, due are {due}; names says what the columns are")
        return list(fitting or [f"f{position}" for position in range(width)])


FIND_OUT = FileOptions()
_SAID = ("encoding", "delimiter", "skip_rows", "header", "names", "sheet")
