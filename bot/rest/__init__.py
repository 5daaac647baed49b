"""The REST window: the seven endpoints of the contract, health, metrics and their description."""
