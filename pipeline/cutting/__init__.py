"""Cutting: which packets are copied, how encoded pictures join them, and how the result is written."""
