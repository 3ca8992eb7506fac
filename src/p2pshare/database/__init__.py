"""One SQLite file: how it is opened safely, what every transaction keeps to, and the tables that every room refers to.

The rooms that own the other tables (log, knowledge, partners) stand above and speak SQL through it.
"""
