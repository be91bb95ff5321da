"""Rendering: drawing, scaling, mixing and encoding with FFmpeg."""
