"""Pictures of a clip: thumbnail, preview, poster, waveform, and the path of a moving crop window."""
