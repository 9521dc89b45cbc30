"""The client of the REST door. It needs no server code."""

from modelyard.rest_api.client.rest_client import RestClient

__all__ = ["RestClient"]
