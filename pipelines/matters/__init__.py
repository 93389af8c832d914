"""Does a change matter? When an output change fires, outputs before and after it are judged and the alert says so."""
