"""``histoscale compare``: many methods at the columns of the paper's tables, with tests of significance."""
