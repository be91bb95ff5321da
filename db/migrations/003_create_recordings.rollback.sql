DROP TABLE highlights, recordings;
