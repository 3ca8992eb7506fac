"""Readers of what others say: each file reads one format into documents and statements, or into what a catalogue knows."""
