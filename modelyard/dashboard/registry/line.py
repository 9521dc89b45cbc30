"""A name as its page shows it: asked for once a run, and handed to the tabs."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.dashboard import session
from modelyard.schemas import Alias, ModelMetadata, ModelQuery

_MOST = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A name, its newest versions, the newest first, deleted ones too, and its aliases. `more`: there are older ones.

    There may be no versions: all are deleted for good.
    """

    name: str
    versions: list[ModelMetadata]
    aliases: list[Alias]
    more: bool

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
    aliases = yard.list_aliases(name).aliases
    page = yard.list_models(ModelQuery(name=name, status="all", limit=_MOST))
    return Line(name, sorted(page.models, key=lambda one: -one.version), aliases, page.next_cursor is not None)
