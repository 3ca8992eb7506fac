"""Engines: rules of others, tried on samples in a caged child process (docs/labs-engines.md).

`launch.run_rule` is the way in. The child is a new interpreter without environment or open files; it imports its engine, closes every door
(`walls`), proves that they are closed, and only then reads the rule and the samples. It answers with counts; what it answers is read as
strictly as what a stranger sends.
"""
