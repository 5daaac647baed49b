"""The door to the Claude Agent SDK: runs, tools, hook, profiles, and the gateway that holds the model key."""
