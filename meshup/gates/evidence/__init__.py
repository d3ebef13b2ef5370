"""Where samples for a comparison come from: a Prometheus, the proxies' own pages, records; all fill one port.

A source never decides. It says what it saw, of which pods, and what it could not see; a row that can't be given to an arm is
counted and never guessed.
"""
