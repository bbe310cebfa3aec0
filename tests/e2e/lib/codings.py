"""The content codings gzip, deflate, br and zstd, for whole texts and for streams that arrive."""

import ctypes
import ctypes.util
import gzip
import zlib

NAMES = ("gzip", "deflate", "br", "zstd")


def _library(name):
    library = ctypes.CDLL(ctypes.util.find_library(name))
    return library


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t)]


def _brotli(data):
    library = _library("brotlienc")
    size = ctypes.c_size_t(len(data) + 1024)
    out = ctypes.create_string_buffer(size.value)
    assert library.BrotliEncoderCompress(5, 22, 0, ctypes.c_size_t(len(data)), data,
                                         ctypes.byref(size), out)
    return out.raw[:size.value]


def _zstd(data):
    library = _library("zstd")
    library.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(data) + 1024)
    size = library.ZSTD_compress(out, ctypes.c_size_t(len(out)), data,
                                 ctypes.c_size_t(len(data)), 3)
    return out.raw[:size]


def encode(coding, data):
    return {"gzip": gzip.compress, "deflate": zlib.compress, "br": _brotli, "zstd": _zstd}[coding](
        data)


def decode(coding, data):
    decoder = Decoder(coding)
    out = decoder.push(data)
    assert decoder.ended, f"the {coding} stream has no end: {len(data)} bytes"
    return out


class Decoder:
    """push(bytes) -> what can be decoded by now; .ended when the stream is whole."""

    def __init__(self, coding):
        self.ended = False
        if coding in ("gzip", "deflate"):
            self.inflate = zlib.decompressobj(31 if coding == "gzip" else 15)
            self.push = self._push_zlib
        elif coding == "br":
            self.library = _library("brotlidec")
            self.library.BrotliDecoderCreateInstance.restype = ctypes.c_void_p
            self.state = ctypes.c_void_p(self.library.BrotliDecoderCreateInstance(None, None, None))
            self.push = self._push_brotli
        else:
            self.library = _library("zstd")
            self.library.ZSTD_createDStream.restype = ctypes.c_void_p
            self.library.ZSTD_decompressStream.restype = ctypes.c_size_t
            self.state = ctypes.c_void_p(self.library.ZSTD_createDStream())
            self.push = self._push_zstd

    def _push_zlib(self, data):
        out = self.inflate.decompress(data)
        self.ended = self.inflate.eof
        assert not self.inflate.unused_data
        return out

    def _push_brotli(self, data):
        source = ctypes.create_string_buffer(data, len(data))
        left = ctypes.c_size_t(len(data))
        at = ctypes.cast(source, ctypes.c_void_p)
        room = ctypes.create_string_buffer(65536)
        out = b""
        while True:
            free = ctypes.c_size_t(len(room))
            end = ctypes.cast(room, ctypes.c_void_p)
            status = self.library.BrotliDecoderDecompressStream(
                self.state, ctypes.byref(left), ctypes.byref(at), ctypes.byref(free),
                ctypes.byref(end), None)
            out += room.raw[:len(room) - free.value]
            assert status != 0, "no brotli"
            if status != 3:  # no more room
                self.ended = status == 1
                assert not (self.ended and left.value)
                return out

    def _push_zstd(self, data):
        source = ctypes.create_string_buffer(data, len(data))
        room = ctypes.create_string_buffer(262144)
        given = _Buffer(ctypes.addressof(source), len(data), 0)
        out = b""
        while True:
            taken = _Buffer(ctypes.addressof(room), len(room), 0)
            left = self.library.ZSTD_decompressStream(self.state, ctypes.byref(taken),
                                                      ctypes.byref(given))
            assert left < 1 << 63, "no zstd"
            out += room.raw[:taken.at]
            if given.at == given.size and taken.at < taken.size:
                self.ended = left == 0
                return out
