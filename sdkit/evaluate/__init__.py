"""How good is a picture: plain measures, networks that judge, and the figures of the shipped weights."""
