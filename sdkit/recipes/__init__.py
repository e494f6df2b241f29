"""How the shipped networks were trained: one file per network, each run with ``python -m sdkit.recipes.NAME``."""
