"""A local Slack: Web API, Socket Mode and signed requests, clicks and modals, with a web page that draws it."""
