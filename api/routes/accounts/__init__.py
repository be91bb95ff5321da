"""Routes of accounts: registration, sign-in, sessions, keys and second factors."""
