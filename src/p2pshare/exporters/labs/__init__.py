"""Files that the rules of a lab are exported into."""
