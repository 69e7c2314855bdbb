"""Pictures and slides on disk: the only room that knows file formats."""
