"""The processes that serve: the API, and Socket.IO alone."""
