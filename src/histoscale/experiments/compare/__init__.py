"""``histoscale compare``: many methods in the paper's tables, with tests of significance."""
