"""Pictures for tests, made on the spot."""

import base64
import struct
import zlib


def png(width, height, color=(200, 30, 60), declared=None):
    """A PNG of one colour; `declared` replaces the size in its header."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", *(declared or (width, height)), 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(color) * width) * height
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def text(data):
    """As JSON bodies carry it."""
    return base64.b64encode(data).decode()
