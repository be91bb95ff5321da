"""Filter graphs, encoders and the FFmpeg process that runs them."""
