"""An alert as text: terminal, Markdown, numbers, next steps, links."""
