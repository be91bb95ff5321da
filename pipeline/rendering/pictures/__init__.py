"""Pictures that go with a clip: thumbnail, preview, poster, waveform, and the path of a moving window."""
