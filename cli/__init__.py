"""The `snuggles` command and the embedded stack."""
