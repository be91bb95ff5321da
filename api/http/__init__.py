"""The edge of HTTP: decoding requests, the envelope of errors, idempotency and byte ranges."""
