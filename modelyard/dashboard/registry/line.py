"""A name as its page shows it: asked for once a run, and handed to the tabs."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.dashboard import session
from modelyard.schemas import Alias, ModelMetadata, ModelQuery

PAGE = 50
"""So many versions are asked for at a time; those of a wide table take 60 KB each."""

_CUSTOMARY = ("champion", "live", "production")
"""Aliases that people give to the version that answers."""


@dataclass(frozen=True, slots=True)
class Line:
    """A name, its newest versions, the newest first, deleted ones too, and its aliases, that of what answers first.

    Those that an alias points to are among them in any case. `older` is the cursor of the versions before them, None if
    these are all. There may be no versions: all are deleted for good.
    """

    name: str
    versions: list[ModelMetadata]
    aliases: list[Alias]
    older: str | None

    @property
    def active(self) -> list[ModelMetadata]:
        """The active versions, the newest first."""
        return [one for one in self.versions if one.status == "active"]

    @property
    def newest(self) -> ModelMetadata:
        """The newest active version, else the newest one. Raises IndexError if there is none."""
        return (self.active or self.versions)[0]

    def version(self, number: int | None) -> ModelMetadata | None:
        """Return a version; None if it is not among these."""
        return next((one for one in self.versions if one.version == number), None)

    def at(self, alias: str) -> ModelMetadata | None:
        """Return the version that an alias points to; None if it is not among these."""
        return self.version(next((one.version for one in self.aliases if one.alias == alias), None))


def look_up(name: str) -> Line:
    """Ask for a name. Raises ModelNotFound if there never was a model of it, and what the verbs raise."""
    yard = session.yard()
    aliases = sorted(yard.list_aliases(name).aliases, key=lambda one: one.alias not in _CUSTOMARY)
    page = yard.list_models(ModelQuery(name=name, status="all", limit=PAGE))
    there = {one.version for one in page.models}
    beyond = {one.version for one in aliases} - there
    versions = [*page.models, *(yard.get_model(f"{name}:{version}") for version in beyond)]
    return Line(name, sorted(versions, key=lambda one: -one.version), aliases, page.next_cursor)
