"""The policy file: what an organisation raises, allows by itself, and who its people are."""
