"""Options of the scripts, and what they resolve to."""
