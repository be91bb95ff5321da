"""The access matrix: who may do what, in SQL and over HTTP."""
