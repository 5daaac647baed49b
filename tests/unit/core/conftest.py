"""How long properties are tried: `pytest tests/unit/core --hypothesis-profile=long` tries more."""

from hypothesis import settings

settings.register_profile("unit", max_examples=60, deadline=None)
settings.register_profile("long", max_examples=5_000, deadline=None)
settings.load_profile("unit")
