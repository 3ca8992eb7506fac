"""Warning lists: values that are no indicators, in a file of their own beside the store."""
