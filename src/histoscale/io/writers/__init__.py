"""Write slides and images: one file for each format, and what all formats share."""
