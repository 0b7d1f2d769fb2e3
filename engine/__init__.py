"""Training and scores: stages and their losses, the trainer and what a run keeps, metrics."""
