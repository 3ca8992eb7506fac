"""Values that a property test once drew by itself, kept as an example.

What `@given` hands over is kept by `@example(...)`. A test that draws through `st.data()` has nothing else to hand over:
`@example(data=Drawn(3, b"x"))` answers its draws with these values, in the order of the lines "Draw 1", "Draw 2" ...
that Hypothesis prints of a failure.
"""

from __future__ import annotations

from typing import Any


class Drawn:
    """In place of what `st.data()` gives, once: the next kept value for each draw."""

    def __init__(self, *values: Any) -> None:
        self._values = values
        self._used = 0

    def __repr__(self) -> str:
        return f"Drawn({', '.join(map(repr, self._values))})"

    def draw(self, strategy: object, label: object = None) -> Any:
        """Returns the next value. Raises IndexError when the test draws more than it did: keep the example anew."""
        if self._used == len(self._values):
            raise IndexError(f"{self!r} has no value left for {strategy!r}")
        self._used += 1
        return self._values[self._used - 1]
