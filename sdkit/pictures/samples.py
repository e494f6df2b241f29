"""The sample photographs. This file imports nothing, so that ``sdkit --help`` is quick."""

SAMPLES = {  # name: what it shows, who made it, its licence, and the package that brings it
    "astronaut": "Eileen Collins, NASA, public domain (scikit-image)",
    "chelsea": "Chelsea the cat, by Stefan van der Walt, CC0 (scikit-image)",
    "coffee": "A cup of coffee, by Rachel Michetti, CC0 (scikit-image)",
    "grace_hopper": "Grace Hopper, by James S. Davis, US Navy, public domain (matplotlib)",
}
