"""Recovery of MP4 and MOV files whose index is lost."""
