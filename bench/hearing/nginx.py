"""nginx beside our server, told what makes it fast: one process, open files kept, no log."""

import shutil
import socket
import time
import urllib.request

from . import processes

START_S = 10


def start(folder, core, files, also="", pem=None):
    """Serves `files` (path to bytes) on a core; `also` stands in its `server`, `pem` makes it HTTPS. Returns the process and its origin when it answers with the first of them."""
    home = folder / "nginx"
    for path, data in files.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(data)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    secure = f"ssl_certificate {pem}; ssl_certificate_key {pem}; ssl_protocols TLSv1.3; ssl_buffer_size 4k; ssl_session_tickets off;" if pem else ""
    (home / "nginx.conf").write_text(f"""daemon off; master_process off; pid {home}/pid; error_log stderr crit; worker_rlimit_nofile 20000;
events {{ worker_connections 19000; multi_accept on; use epoll; }}
http {{
  types {{ audio/mp4 mp4; }} default_type text/html; access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; open_file_cache max=10; keepalive_timeout 60;
  client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  server {{ listen 127.0.0.1:{port} backlog=4096 {"ssl" if pem else ""}; {secure} root {home}; {also} }}
}}
""")
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    process = processes.start(["taskset", "-c", str(core), program, "-p", home, "-e", "stderr", "-c", home / "nginx.conf"])
    origin = f"{'https' if pem else 'http'}://127.0.0.1:{port}"
    path, data = next(iter(files.items()))
    _until_answers(process, f"{origin}/{path}", data)
    return process, origin


def _until_answers(process, url, data):
    """It tells nobody when it listens: somebody has to ask."""
    deadline = time.monotonic() + START_S
    why = "it gives something else"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.read() == data:
                    return
        except OSError as error:
            why = error
        time.sleep(0.05)
    raise processes.Died(f"nginx: {why}")
