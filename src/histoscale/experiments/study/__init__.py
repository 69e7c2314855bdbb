"""``histoscale study``: many methods under one recipe, trained and compared in one go."""
