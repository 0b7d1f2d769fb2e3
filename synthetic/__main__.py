"""`python -m synthetic`: draw a synthetic data set."""

from synthetic.command import main

if __name__ == '__main__':
    main()
