"""The commands that work on media in this process, without a server."""
