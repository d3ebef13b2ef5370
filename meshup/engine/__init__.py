"""Plan (pure), execute (effects), resume (a fold), undo (pure), wait (the only sleeper)."""
