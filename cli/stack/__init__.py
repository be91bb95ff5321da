"""The whole service on one machine: embedded servers, our own processes, and their supervisor."""
