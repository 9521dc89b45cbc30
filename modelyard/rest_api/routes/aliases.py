"""Aliases: movable names for versions of models."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi import Request as HttpRequest

from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.bodies import read_json
from modelyard.rest_api.openapi import error_responses, json_body
from modelyard.schemas import AliasHistory, AliasList, AliasRequest, DefaultAlias, MovedAlias


def router(desk: Desk) -> APIRouter:
    """Make the routes of aliases."""
    routes = APIRouter(tags=["aliases"])

    @routes.get("/models/{name}/aliases", responses=error_responses(400, 404))
    async def list_aliases(name: str) -> AliasList:
        """List the aliases of a name, and where they point."""
        return await desk.ask(Yard.list_aliases, name)

    @routes.get("/models/{name}/aliases/{alias}/history", responses=error_responses(400, 404))
    async def get_alias_history(name: str, alias: str) -> AliasHistory:
        """Return the moves of an alias, the first one first; of a deleted alias, too."""
        return await desk.ask(Yard.get_alias_history, name, alias)

    @routes.put(
        "/models/{name}/aliases/{alias}",
        response_model=MovedAlias,
        responses=error_responses(400, 404, 409, 413),
        openapi_extra=json_body(AliasRequest),
    )
    async def set_alias(name: str, alias: str, request: HttpRequest) -> MovedAlias:
        """Point an alias at an active version: `name@alias` means that one from now on, everywhere."""
        with (await read_json(request, AliasRequest))() as wanted:
            return await desk.ask(Yard.set_alias, name, alias, wanted)

    @routes.delete("/models/{name}/aliases/{alias}", status_code=204, responses=error_responses(400, 404))
    async def delete_alias(name: str, alias: str) -> Response:
        """Delete an alias; its version stays."""
        await desk.ask(Yard.delete_alias, name, alias)
        return Response(status_code=204)

    @routes.get("/aliases/default", responses=error_responses())
    async def get_default_alias() -> DefaultAlias:
        """Return the alias that a name alone means if it has it."""
        return await desk.ask(Yard.get_default_alias)

    @routes.put(
        "/aliases/default",
        response_model=DefaultAlias,
        responses=error_responses(400, 413),
        openapi_extra=json_body(DefaultAlias),
    )
    async def set_default_alias(request: HttpRequest) -> DefaultAlias:
        """Set the alias that a name alone means if it has it, for the whole yard; null: the newest active version."""
        with (await read_json(request, DefaultAlias))() as default:
            return await desk.ask(Yard.set_default_alias, default)

    return routes
