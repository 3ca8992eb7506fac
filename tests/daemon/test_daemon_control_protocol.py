"""The control socket's frames: whatever comes, a message or one clear refusal."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.daemon.control_protocol import (
    HEADER,
    decode_frame,
    encode_frame,
    error_message,
    frame_length,
    raise_error,
    receive_message,
    send_message,
    short_name,
)
from p2pshare.errors import OperatorError, RefusedError, ShareError
from p2pshare.limits import CONTROL_FRAME_BYTES_MAX

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_a_message_survives_its_frame(message: dict[str, object]) -> None:
    frame = encode_frame(message)
    assert frame_length(frame[: HEADER.size]) == len(frame) - HEADER.size
    assert decode_frame(frame[HEADER.size :]) == message


@given(st.binary(max_size=300))
def test_random_bytes_are_a_map_with_text_keys_or_refused(raw: bytes) -> None:
    try:
        message = decode_frame(raw)
    except OperatorError as error:
        assert error.reason == "control-malformed"
    else:
        assert all(isinstance(key, str) for key in message)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",
        msgpack.packb([1, 2]),
        msgpack.packb({1: 2}),
        msgpack.packb({b"operation": 1}),
        msgpack.packb({"a": msgpack.ExtType(5, b"x")}),
        msgpack.packb({"a": msgpack.Timestamp(1)}),
        msgpack.packb({"a": 1}) + b"\x00",
        msgpack.packb({"a": "text"})[:-1],
        b"\x81\xa1a" + b"\x91" * 100_000,
    ],
    ids=["empty", "unused-byte", "array", "int-key", "bin-key", "ext", "time", "trailing", "cut", "nested"],
)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(OperatorError) as refusal:
        decode_frame(raw)
    assert refusal.value.reason == "control-malformed"


def test_frame_length_at_the_limit_passes_and_one_above_is_refused_before_reading() -> None:
    assert frame_length(struct.pack(">I", CONTROL_FRAME_BYTES_MAX)) == CONTROL_FRAME_BYTES_MAX
    with pytest.raises(OperatorError) as refusal:
        frame_length(struct.pack(">I", CONTROL_FRAME_BYTES_MAX + 1))
    assert refusal.value.reason == "control-oversized"


def test_own_oversized_message_is_refused_before_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pshare.daemon.control_protocol.CONTROL_FRAME_BYTES_MAX", 10)
    with pytest.raises(OperatorError) as refusal:
        encode_frame({"arguments": b"0123456789"})
    assert refusal.value.reason == "control-oversized"


@pytest.mark.parametrize("value", ["\udcff", 2**64, -(2**63) - 1], ids=["surrogate", "large", "small"])
def test_what_msgpack_cannot_hold_is_refused_before_sending(value: object) -> None:
    with pytest.raises(OperatorError) as refusal:
        encode_frame({"result": {"object": [value]}})
    assert refusal.value.reason == "control-malformed"


def test_messages_pass_a_real_socket_pair_in_order_and_its_end_is_told() -> None:
    left, right = socket.socketpair()
    big = {"arguments": {"frames": [b"x" * 3_000_000]}}
    writer = threading.Thread(
        target=lambda: (send_message(left, big), send_message(left, {"a": 1}), left.close())
    )
    writer.start()
    with right:
        assert receive_message(right) == big
        assert receive_message(right) == {"a": 1}
        with pytest.raises(EOFError):
            receive_message(right)
    writer.join()


def test_an_error_comes_back_with_its_reason_hint_and_exit_code() -> None:
    original = RefusedError("nobody may have it", hint="name a partner", reason="audience-empty")
    with pytest.raises(ShareError) as arrived:
        raise_error(decode_frame(encode_frame(error_message(original))[HEADER.size :])["error"])
    assert (arrived.value.message, arrived.value.hint) == ("nobody may have it", "name a partner")
    assert (arrived.value.reason, arrived.value.exit_code) == ("audience-empty", RefusedError.exit_code)


@pytest.mark.parametrize(
    "fields", [None, "text", [], {"exit_code": 0}, {"exit_code": True}, {"exit_code": "5"}]
)
def test_an_unreadable_error_is_still_an_error(fields: object) -> None:
    with pytest.raises(ShareError) as arrived:
        raise_error(fields)
    assert arrived.value.exit_code == 1


def test_a_socket_deep_below_the_108_byte_limit_is_bound_and_reached(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*(["a-folder-with-quite-a-long-name"] * 6))
    folder.mkdir(parents=True)
    path = folder / "control.sock"
    assert len(str(path)) > 150
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        with short_name(path) as name:
            listener.bind(name)
        listener.listen()
        with short_name(path) as name:
            caller.connect(name)
        assert path.is_socket()
