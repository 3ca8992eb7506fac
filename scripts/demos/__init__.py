"""What scripts/demo tells: one file a story, told on one stage."""
