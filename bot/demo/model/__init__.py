"""A stand-in for the Messages API with a scripted model: an honest server that the unmodified CLI talks to."""
