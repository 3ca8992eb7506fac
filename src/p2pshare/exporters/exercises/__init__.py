"""Reports of an exercise, for people: one file a format."""
