"""How to reach a platform: SSH, this host, HTTP; timeouts, TLS, known hosts, cleaning."""
