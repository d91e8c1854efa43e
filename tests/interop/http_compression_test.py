#!/usr/bin/env python3
# Compressed responses as other programs decode them: Python's gzip and zlib, the programs brotli and zstd, and curl.
import contextlib
import gzip
import http.client
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import unittest
import zlib

from http_proxy_test import example
from support import LOCALHOST, WAIT_S

CODINGS = ("gzip", "br", "zstd")


def decode(coding: str, data: bytes) -> bytes:
    if coding == "gzip":
        return gzip.decompress(data)
    command = {"br": ["brotli", "-d", "-c"], "zstd": ["zstd", "-d", "-c", "-q"]}[coding]
    if not shutil.which(command[0]):
        raise unittest.SkipTest(f"{command[0]} is not installed")
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=WAIT_S).stdout


class Compression(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        root = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coax-compression-")))
        seed = int(os.environ.get("COAX_SEED", "0")) or random.randrange(1 << 32)
        print(f"COAX_SEED={seed}", flush=True)
        words = random.Random(seed)
        cls.files = {f"{size}.json": json.dumps([words.randrange(1000) for _ in range(size)]).encode()
                     for size in (400, 20_000, 1_000_000)}
        cls.files["noise.txt"] = words.randbytes(300_000)
        cls.files["zeros.css"] = bytes(5_000_000)
        cls.files["photo.jpg"] = bytes(100_000)
        for name, content in cls.files.items():
            (root / name).write_bytes(content)
        port, _ = stack.enter_context(example("http_folder", str(root)))
        cls.port = port

    def get(self, path: str, method: str = "GET", **fields: str) -> tuple[http.client.HTTPResponse, bytes]:
        server = http.client.HTTPConnection(LOCALHOST, self.port, timeout=WAIT_S)
        server.request(method, path, headers={name.replace("_", "-"): value for name, value in fields.items()})
        response = server.getresponse()
        body = response.read()
        server.close()
        return response, body

    def test_all_codings_decode_to_the_file(self) -> None:
        for name, content in self.files.items():
            for coding in CODINGS:
                with self.subTest(name=name, coding=coding):
                    response, body = self.get("/" + name, Accept_Encoding=coding)
                    if name == "photo.jpg":
                        self.assertIsNone(response.getheader("Content-Encoding"))
                        self.assertEqual(body, content)
                        continue
                    self.assertEqual(response.getheader("Content-Encoding"), coding)
                    self.assertEqual(decode(coding, body), content)
                    self.assertLess(len(body), len(content) * 1.01)

    def test_curl_decodes_and_revalidates(self) -> None:
        if not shutil.which("curl"):
            self.skipTest("curl is not installed")
        with tempfile.TemporaryDirectory() as folder:
            url = f"http://{LOCALHOST}:{self.port}/20000.json"
            command = ["curl", "-sf", "--compressed", "--max-time", str(WAIT_S), "--etag-save", f"{folder}/etag", url]
            self.assertEqual(subprocess.run(command, capture_output=True, check=True).stdout, self.files["20000.json"])
            self.assertTrue(pathlib.Path(folder, "etag").read_text().startswith('W/"'))
            command = ["curl", "-sf", "--compressed", "--max-time", str(WAIT_S), "--etag-compare", f"{folder}/etag",
                       "-w", "%{http_code}", url]
            self.assertEqual(subprocess.run(command, capture_output=True, check=True).stdout, b"304")

    def test_ranges_are_those_of_the_file_itself(self) -> None:
        content = self.files["20000.json"]
        response, body = self.get("/20000.json", Accept_Encoding="gzip", Range="bytes=100-199")
        self.assertEqual((response.status, response.getheader("Content-Encoding")), (206, None))
        self.assertEqual(body, content[100:200])
        etag = self.get("/20000.json", Accept_Encoding="gzip")[0].getheader("ETag")
        response, body = self.get("/20000.json", Accept_Encoding="gzip", Range="bytes=100-199", If_Range=etag)
        self.assertEqual((response.status, zlib.decompress(body, 31)), (200, content))

    def test_head_has_the_fields_of_get(self) -> None:
        head, body = self.get("/20000.json", method="HEAD", Accept_Encoding="br")
        full, _ = self.get("/20000.json", Accept_Encoding="br")
        self.assertEqual(body, b"")
        for name in ("Content-Encoding", "ETag", "Vary", "Content-Type", "Content-Length", "Accept-Ranges"):
            self.assertEqual(head.getheader(name), full.getheader(name), name)


if __name__ == "__main__":
    unittest.main()
