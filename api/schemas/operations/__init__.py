"""Requests and answers of operators."""
