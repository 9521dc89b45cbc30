"""The verbs of aliases."""

from __future__ import annotations

from modelyard import calls
from modelyard.calls import Calls, verb
from modelyard.schemas import AliasHistory, AliasList, AliasRequest, DefaultAlias, MovedAlias, parse_alias
from modelyard.storage import AliasCollection
from modelyard.verbs import Verbs


class AliasVerbs(Verbs):
    """The part of a yard that knows its aliases; only administrators move the `protected` ones."""

    calls: Calls
    _aliases: AliasCollection
    _protected: frozenset[str]

    @verb
    def set_alias(self, name: str, alias: str, request: AliasRequest) -> MovedAlias:
        """Point an alias at a version. See `Verbs.set_alias`."""
        self.check_may_move(alias)
        return self._aliases.move(name, parse_alias(alias), request)

    @verb
    def delete_alias(self, name: str, alias: str) -> None:
        """Delete an alias. See `Verbs.delete_alias`."""
        self.check_may_move(alias)
        self._aliases.delete(name, alias)

    @verb
    def list_aliases(self, name: str) -> AliasList:
        """List the aliases of a name. See `Verbs.list_aliases`."""
        return self._aliases.of_name(name)

    @verb
    def get_alias_history(self, name: str, alias: str) -> AliasHistory:
        """Return the moves of an alias. See `Verbs.get_alias_history`."""
        return self._aliases.history(name, alias)

    @verb
    def get_default_alias(self) -> DefaultAlias:
        """Return what a name alone means. See `Verbs.get_default_alias`."""
        return DefaultAlias(alias=self._aliases.default())

    @verb
    def set_default_alias(self, default: DefaultAlias) -> DefaultAlias:
        """Set what a name alone means. See `Verbs.set_default_alias`."""
        self._aliases.set_default(default.alias)
        return default

    def take_default_alias(self, alias: str) -> None:
        """Set the default alias of a new yard. Raises FailedPrecondition if there is another one already."""
        self._aliases.take_default(parse_alias(alias))

    def check_may_move(self, alias: str) -> None:
        """Raise PermissionDenied if the alias is protected and the caller is no administrator."""
        if alias in self._protected:
            calls.name_verb("move_protected_alias")
