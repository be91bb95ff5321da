"""Connection pool, transactions and typed queries, one module for each subject."""
