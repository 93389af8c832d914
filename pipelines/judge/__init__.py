"""The role `judge`: asks evaluation models about the outputs that were drawn for them."""
