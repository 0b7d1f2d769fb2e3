"""Former place of `python -m synthetic`; keeps that command line working under its old name."""

from synthetic.command import main

if __name__ == '__main__':
    main()
