"""The log of envelopes as received, in order of arrival: envelopes carried, acknowledgements, and numbers
that are missing."""
