"""Values to text: every screen is a function from what happened to lines, so that each can be a golden file."""
