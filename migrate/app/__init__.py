"""What each command does: opens what a stage needs and calls it. The only room that knows all the others."""
