"""The methods of the service for keys, the audit and aliases."""

from __future__ import annotations

from typing import Any

from modelyard.grpc_server import codec, messages
from modelyard.grpc_server.gate import RpcCall
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.schemas import AliasRequest, DefaultAlias, KeyRequest, parse


def _alias_request(message: pb.SetAliasRequest) -> AliasRequest:
    """Return where an alias is to point; version 0 is expected of one that is not there yet."""
    fields: dict[str, Any] = {"version": message.version}
    if message.HasField("expected"):
        fields["expected"] = message.expected or None
    return parse(AliasRequest, fields)


class AccessService:
    """The part of `modelyard.v1.ModelService` that says who may, who did, and which version a name means."""

    _desk: Desk

    async def set_alias(self, call: RpcCall) -> pb.MovedAlias:
        """Point an alias at a version."""
        message = call.message()
        wanted = _alias_request(message)
        return messages.write(pb.MovedAlias, await self._desk.ask(Yard.set_alias, message.name, message.alias, wanted))

    async def delete_alias(self, call: RpcCall) -> pb.DeleteAliasResponse:
        """Delete an alias."""
        message = call.message()
        await self._desk.ask(Yard.delete_alias, message.name, message.alias)
        return pb.DeleteAliasResponse()

    async def list_aliases(self, call: RpcCall) -> pb.ListAliasesResponse:
        """List the aliases of a name."""
        return messages.write(pb.ListAliasesResponse, await self._desk.ask(Yard.list_aliases, call.message().name))

    async def get_alias_history(self, call: RpcCall) -> pb.AliasHistory:
        """Return the moves of an alias."""
        message = call.message()
        found = await self._desk.ask(Yard.get_alias_history, message.name, message.alias)
        return messages.write(pb.AliasHistory, found)

    async def get_default_alias(self, call: RpcCall) -> pb.DefaultAlias:
        """Return what a name alone means."""
        call.message()
        return messages.write(pb.DefaultAlias, await self._desk.ask(Yard.get_default_alias))

    async def set_default_alias(self, call: RpcCall) -> pb.DefaultAlias:
        """Set what a name alone means."""
        message = call.message()
        default = parse(DefaultAlias, {"alias": message.alias if message.HasField("alias") else None})
        return messages.write(pb.DefaultAlias, await self._desk.ask(Yard.set_default_alias, default))

    async def create_key(self, call: RpcCall) -> pb.NewKey:
        """Make a key."""
        request = parse(KeyRequest, messages.read_fields(call.message()))
        return messages.write(pb.NewKey, await self._desk.ask(Yard.create_key, request))

    async def list_keys(self, call: RpcCall) -> pb.ListKeysResponse:
        """List the keys."""
        call.message()
        return messages.write(pb.ListKeysResponse, await self._desk.ask(Yard.list_keys))

    async def revoke_key(self, call: RpcCall) -> pb.RevokeKeyResponse:
        """Revoke a key."""
        await self._desk.ask(Yard.revoke_key, call.message().name)
        return pb.RevokeKeyResponse()

    async def rotate_key(self, call: RpcCall) -> pb.NewKey:
        """Rotate a key."""
        message = call.message()
        return messages.write(pb.NewKey, await self._desk.ask(Yard.rotate_key, message.name, grace_s=message.grace_s))

    async def whoami(self, call: RpcCall) -> pb.WhoamiResponse:
        """Say who calls."""
        call.message()
        return messages.write(pb.WhoamiResponse, await self._desk.ask(Yard.whoami))

    async def list_audit(self, call: RpcCall) -> pb.ListAuditResponse:
        """List what was done and refused, newest first."""
        page = await self._desk.ask(Yard.list_audit, codec.read_audit_query(call.message()))
        return messages.write(pb.ListAuditResponse, page)
