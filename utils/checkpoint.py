"""Former place of `python -m models.checkpoint`; keeps that command line working under its old name."""

from models.checkpoint.command import main

if __name__ == '__main__':
    main()
