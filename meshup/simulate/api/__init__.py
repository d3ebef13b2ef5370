"""The API server: what a real one answered decides; what is not implemented answers 501, never a guess."""
