"""What an envelope costs its recipients: recipes of hostile ones, a laboratory that measures, a search for the worst."""
