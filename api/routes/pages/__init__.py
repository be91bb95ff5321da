"""Pages that the API serves: shared clips, and the built web app."""
