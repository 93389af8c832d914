"""Plain typed records that detection returns and takes: findings, controls, status, segments."""
