"""The edge: HTTP routes, schemas and the one map from error codes to statuses."""
