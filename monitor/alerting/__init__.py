"""Alerts: what a finding becomes for the people on call, its life, its incident and its wording. Pure."""
