"""Accounts, tokens, mail, provisioning and export."""
