"""A door for people: the whole life of a model in a browser, over the clients alone."""
