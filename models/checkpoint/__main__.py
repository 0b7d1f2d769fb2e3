"""`python -m models.checkpoint`: inspect, convert and initialise checkpoints."""

from models.checkpoint.command import main

if __name__ == '__main__':
    main()
