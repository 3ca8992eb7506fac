"""A SQLite file: opening it safely, the rules of every transaction, and the tables that every room refers to.

The rooms that own the other tables (log, knowledge, partners) stand above and speak SQL through it.
"""
