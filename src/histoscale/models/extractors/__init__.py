"""Networks that turn a picture into a vector whose statistics the Frechet distance compares."""
