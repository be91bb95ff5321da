"""Cuts clips out of recordings."""

from pipeline.segment import SegmentReport, extract_segment

__all__ = ["SegmentReport", "extract_segment"]
