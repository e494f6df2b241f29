"""What the notebooks show and ask: plots, widgets, the guessing game, and checks of the exercises."""
