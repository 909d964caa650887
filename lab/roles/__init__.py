"""One module per role: `configure(host)` before it boots; `started(host)`, where there is one,
after, to wait until the role does its work."""
