"""Use cases and rules, one module a subject; every function takes an open transaction first."""
