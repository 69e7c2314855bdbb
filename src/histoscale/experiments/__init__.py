"""What a person does, one file a verb."""
