"""What was recorded, for people: terminal summaries and tables."""
