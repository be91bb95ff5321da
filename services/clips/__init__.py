"""Clips, their specifications, renders, share links and downloads."""
