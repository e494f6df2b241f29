"""Small models of points in the plane, for the lessons that watch everything at once."""
