"""`python -m alignn_ff.cli`, as torchrun starts it."""

from alignn_ff.cli.main import main

if __name__ == "__main__":
    main()
