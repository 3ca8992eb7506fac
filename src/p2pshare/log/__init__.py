"""Envelopes as received, in order of arrival: what is carried for whom, who has acknowledged it, whose numbers are missing."""
