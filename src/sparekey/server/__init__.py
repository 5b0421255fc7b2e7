"""Sockets: HTTP for the API, the hand-over to the console's ASGI server, listeners, health and metrics.

Docs: `http.HttpServer` is what runs; `listeners` opens its ports; `asgi.Mounted` is the same application under ASGI.
"""
