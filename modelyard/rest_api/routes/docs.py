"""The pages for people: Swagger UI on the OpenAPI document, from files of this installation, and the way to it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse

from modelyard.errors import NotFound

PACKAGE = "fastapi_standalone_docs"
"""A package that carries Swagger UI's files; nothing else of it is used."""

_FILES = {
    "swagger-ui-bundle.js": ("static/swagger/swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": ("static/swagger/swagger-ui.css", "text/css"),
    "favicon.png": ("static/fastapi/favicon.png", "image/png"),
}


def router(root_path: str) -> APIRouter:
    """Make the routes of the documentation; links on its page are relative, so that they hold below any path."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def root() -> Response:
        """Lead to the documentation."""
        return RedirectResponse(f"{root_path}/docs")

    @routes.get("/docs")
    async def docs() -> HTMLResponse:
        """Show the documentation, to try by hand."""
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Modelyard",
            oauth2_redirect_url=None,
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon.png",
        )

    @routes.get("/docs/{name}")
    async def docs_file(name: str) -> Response:
        """Return a file of the page."""
        if name not in _FILES:
            raise NotFound(f"there is no GET /docs/{name}")
        content, media_type = _read(name)
        return Response(content, media_type=media_type, headers={"Cache-Control": "max-age=86400"})

    return routes


@cache
def _read(name: str) -> tuple[bytes, str]:
    path, media_type = _FILES[name]
    return files(PACKAGE).joinpath(path).read_bytes(), media_type
