"""Who may have what

the roster, audiences, admission, and the one gate for send, relay and exits.:Pure; answers are values, policy never raises for a refusal.
"""
