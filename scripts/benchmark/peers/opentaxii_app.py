"""`opentaxii.http:app` with one repair, for Flask to serve.

OpenTAXII 0.9.3 keeps what is posted to TAXII 2.1 and then fails to answer, because the id in the answer is no text
(its issue 243, mended after that release). With an answer its clients can go on, and so can the benchmark.
"""

from __future__ import annotations

import functools
import json
import types

from opentaxii.http import app
from opentaxii.taxii2 import http

http.json = types.SimpleNamespace(dumps=functools.partial(json.dumps, default=str))

__all__ = ["app"]
