"""The shapes of the fast paths for names: what they match is what is said of it, and no text makes them slow."""

from __future__ import annotations

import time

from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.intel.names import DOMAIN_CHARACTERS, LABEL_CHARACTERS_MAX, is_plain_domain, is_plain_url

PATH_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~!$&()*+,;=:@/-")
HOSTS = st.text(st.sampled_from("abz09-_..x\nÄ"), max_size=12) | st.sampled_from(
    ["198.18.0.1", "evil.example", "a.b", "a.0xb", "xn--a.example", f"{'a' * 59}.example", "a\n"]
)
PATHS = st.text(st.sampled_from("/./a?%#\\ &=é\n"), max_size=8)


@given(HOSTS)
@example("")
@example(".")
@example("a.")
@example(".a")
@example("a..b")
@example(f"{'a' * 55}.example")
def test_a_plain_domain_is_labels_with_dots_between(text: str) -> None:
    labels = text.split(".")
    assert is_plain_domain(text) == (
        not text.strip(DOMAIN_CHARACTERS)
        and set(text) <= set(DOMAIN_CHARACTERS)
        and all(labels)
        and len(labels) >= 2
        and len(text) <= LABEL_CHARACTERS_MAX
        and text[-1] not in "0123456789-_"
        and ".0x" not in text
        and len(labels[-1]) > 1
        and "xn--" not in text
    )


@given(st.sampled_from(["http", "https", "HTTP", "ftp"]), HOSTS, PATHS)
@example("https", "evil.example", "/")
@example("https", "198.18.0.1", "/a?b?c")
@example("https", "evil.example", "/a/../b")
@example("https", "evil.example", "")
@example("https", "evil.example", "/a\n")
def test_a_plain_url_is_a_host_a_path_and_a_query(scheme: str, host: str, rest: str) -> None:
    path, _mark, query = rest.partition("?")
    octets = host.split(".")
    is_address = len(octets) == 4 and all(one in {str(n) for n in range(256)} for one in octets)
    assert is_plain_url(f"{scheme}://{host}{rest}") == (
        scheme in ("http", "https")
        and path.startswith("/")
        and "/." not in path
        and set(path) <= PATH_CHARACTERS
        and set(query) <= PATH_CHARACTERS | {"?"}
        and (is_plain_domain(host) or is_address)
    )


def test_no_text_makes_the_shapes_slow() -> None:
    start = time.process_time()
    for text in ("a" * 1_000_000, "a." * 500_000, "-" * 1_000_000):
        assert not is_plain_domain(text)
        assert not is_plain_url(f"https://{text}")
        assert not is_plain_url(f"https://{text}/{'a' * 1_000_000}\n")
        assert not is_plain_url(f"https://{text}/{'a' * 1_000_000}?{'a?' * 500_000}\n")
    assert time.process_time() - start < 5
