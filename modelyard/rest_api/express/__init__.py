"""Quick ways of REST: each has its gain in numbers, one switch (`MODELYARD_REST_EXPRESS`) and one caller."""
