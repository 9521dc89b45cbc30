"""An index of the aliases: which model `name@alias` means, and a name alone if the yard has a default alias."""

from __future__ import annotations

from typing import Any

ALIASES = "aliases"
YARD = "yard"
DEFAULT_ALIAS = "default_alias"

Document = dict[str, Any]


class AliasIndex:
    """Follows the documents as the index of models does, which hands them on.

    `meant` has the model id of each reference by an alias, `default` is the yard's default alias, and `changes` counts
    what has happened to any of them.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.reset()

    def reset(self) -> None:
        self.changes += 1
        self.meant: dict[str, str] = {}
        self.default: str | None = None
        self._of_name: dict[str, dict[str, Document]] = {}

    def put(self, collection: str, key: str, document: Document) -> None:
        if collection == ALIASES:
            self._put_alias(document["name"], document["alias"], document)
        elif collection == YARD and key == DEFAULT_ALIAS:
            self._put_default(document["alias"])

    def remove(self, collection: str, key: str) -> None:
        if collection == ALIASES:
            name, _, alias = key.partition("@")
            self._put_alias(name, alias, {"model_id": None})
        elif collection == YARD and key == DEFAULT_ALIAS:
            self._put_default(None)

    def of_name(self, name: str) -> dict[str, Document]:
        """Return the documents of a name's aliases, by alias."""
        return self._of_name.get(name, {})

    def of_model(self, name: str, model_id: str) -> list[str]:
        """Return the aliases of a model of this name."""
        return sorted(alias for alias, document in self.of_name(name).items() if document["model_id"] == model_id)

    def _put_alias(self, name: str, alias: str, document: Document) -> None:
        self.changes += 1
        of_name = self._of_name.setdefault(name, {})
        if document["model_id"] is None:
            of_name.pop(alias, None)
        else:
            of_name[alias] = document
        self._mean(f"{name}@{alias}", of_name.get(alias))
        if alias == self.default:
            self._mean(name, of_name.get(alias))
        if not of_name:
            del self._of_name[name]

    def _put_default(self, alias: str | None) -> None:
        self.changes += 1
        self.default = alias
        for name, of_name in self._of_name.items():
            self._mean(name, None if alias is None else of_name.get(alias))

    def _mean(self, reference: str, document: Document | None) -> None:
        if document is None:
            self.meant.pop(reference, None)
        else:
            self.meant[reference] = document["model_id"]
