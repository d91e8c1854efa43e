# nginx.py PORT FOLDER [FILES [CERT KEY]]: executes an nginx that answers /hello, and the files of FILES under /files,
# over TLS when it has a certificate, with one process in the foreground; FOLDER is for its configuration and temporary
# files. sendfile and tcp_nopush are set as in Debian's configuration.
import os
import pathlib
import shutil
import sys

TEXT = """
user root;
daemon off;
master_process off;
error_log stderr crit;
pid nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:%d%s backlog=4096;%s
    location = /hello { default_type "text/plain; charset=utf-8"; return 200 "Hello world!"; }
    location /files/ { alias %s/; }
  }
}
"""

port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
files = sys.argv[3] if len(sys.argv) > 3 else folder
ssl = ("", "")
if len(sys.argv) == 6:
    ssl = (" ssl", f" ssl_certificate {sys.argv[4]}; ssl_certificate_key {sys.argv[5]}; ssl_protocols TLSv1.3;")
(folder / "nginx.conf").write_text(TEXT % (port, *ssl, files))
nginx = shutil.which("nginx") or "/usr/sbin/nginx"  # which a user's PATH leaves out
os.execv(nginx, ["nginx", "-e", "stderr", "-p", f"{folder}/", "-c", f"{folder}/nginx.conf"])
