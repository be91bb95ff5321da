"""Pages that the API renders itself: their documents, style and words."""
