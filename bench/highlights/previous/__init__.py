"""The detector before audio taggers, frozen for comparison: it was fitted on mixes, without a trained ear."""
