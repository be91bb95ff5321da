"""Rendering: what FFmpeg is asked to draw, scale, mix and encode."""
