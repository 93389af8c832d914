"""Contract checks that every component must pass, ours and yours: call them from your own tests."""
