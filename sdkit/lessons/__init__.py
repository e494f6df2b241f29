"""Helpers of the lessons: plots, widgets, the Turing test and the exercises' checkers."""
