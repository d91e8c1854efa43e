# port_check.py HOST PORT[-LAST]: prints for each port whether it is open, closed or filtered.

import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: port_check.py HOST PORT[-LAST]")
first, _, last = sys.argv[2].partition("-")
found = False
for port in range(int(first), int(last or first) + 1):
    try:
        socket.create_connection((sys.argv[1], port), timeout=1).close()
        state = "open"
        found = True
    except ConnectionRefusedError:
        state = "closed"
    except socket.gaierror as error:
        sys.exit(f"port_check: {error}")
    except OSError:
        state = "filtered"
    print(port, state)
sys.exit(0 if found else 1)
