"""The local Slack with real Bolt apps on its sockets."""
