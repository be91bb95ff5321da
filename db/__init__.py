"""Pool, transactions and typed queries, one module a subject."""
