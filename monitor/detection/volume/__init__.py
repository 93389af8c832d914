"""How many events come: volume and silence."""
