"""Policy: audiences, admission, quotas, the privacy lint, and the one gate for send, relay and exits.

Pure; answers are values, policy never raises for a refusal.
"""
