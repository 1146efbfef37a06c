"""What may be shown and kept: secrets, redaction, masks, scrubbed words."""
