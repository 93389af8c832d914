"""The stages of the flow: featurize, detect, notify."""
