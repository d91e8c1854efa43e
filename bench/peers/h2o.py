# h2o.py PORT FOLDER FILES [CERT KEY]: executes an h2o with one thread that serves the files of FILES under /files, over
# TLS when it has a certificate; FOLDER is for its configuration, and for the file that answers /hello.
import os
import pathlib
import sys

TEXT = """
user: root
num-threads: 1
tcp-fastopen: 0
http1-request-timeout: 3600
error-log: /dev/null
listen:
  host: 127.0.0.1
  port: %d%s
hosts:
  default:
    paths:
      /hello: { file.file: %s/hello.txt }
      /files: { file.dir: %s }
"""

port, folder, files, *certificate = sys.argv[1:]
ssl = ""
if certificate:
    ssl = f"\n  ssl: {{ certificate-file: {certificate[0]}, key-file: {certificate[1]}, minimum-version: TLSv1.3 }}"
(pathlib.Path(folder) / "hello.txt").write_text("Hello world!")
configuration = pathlib.Path(folder) / "h2o.conf"
configuration.write_text(TEXT % (int(port), ssl, folder, files))
os.execvp("h2o", ["h2o", "-m", "worker", "-c", str(configuration)])
