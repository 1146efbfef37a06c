"""What a mapping file's text says: read once for all of the program, before any engine works it out."""
