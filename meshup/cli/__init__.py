"""One file per command: parse, call, show, exit. Only here is anything printed."""
