"""Sink: e-mail, by SMTP."""
