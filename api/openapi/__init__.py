"""The API's description: an OpenAPI document, and a page made from it."""
